// An invented city for the page's own tests: seeded, so that every run sees the same Things; moving, so that there is
// something to see. Shapes and words are those of docs/api.md; the positions are inside Chongqing's rectangle.

import { cellToBoundary, cellToLatLng, cellToParent, getResolution, latLngToCell } from 'h3-js';

/** Mulberry32: small, seeded, good enough to scatter sensors. */
export function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const properties = [
  { number: 1, code: 'pm2_5', name_zh: '细颗粒物', name_en: 'PM2.5', unit: 'ug/m3', resolution: 0.1, min: 0, max: 1000, worse: 'high', sector: 'air', breaks: [35, 75, 115, 150, 250] },
  { number: 6, code: 'o3', name_zh: '臭氧', name_en: 'Ozone', unit: 'ug/m3', resolution: 0.1, min: 0, max: 1200, worse: 'high', sector: 'air', breaks: [160, 200, 300, 400, 800] },
  { number: 20, code: 'temperature', name_zh: '气温', name_en: 'Air temperature', unit: 'Cel', resolution: 0.1, min: -40, max: 60, worse: 'both', sector: 'weather', breaks: [0, 10, 20, 30, 35, 40] },
  { number: 45, code: 'dissolved_oxygen', name_zh: '溶解氧', name_en: 'Dissolved oxygen', unit: 'mg/L', resolution: 0.01, min: 0, max: 50, worse: 'low', sector: 'water', breaks: [2, 3, 5, 6, 7.5] },
  { number: 76, code: 'smoke_alarm', name_zh: '烟感报警', name_en: 'Smoke alarm', unit: '1', resolution: 1, min: 0, max: 1, worse: 'high', sector: 'fire', breaks: [0.5] },
  { number: 120, code: 'noise', name_zh: '噪声', name_en: 'Sound level (A-weighted)', unit: 'dB[SPL]', resolution: 0.1, min: 0, max: 150, worse: 'high', sector: 'noise', breaks: [45, 55, 60, 65, 70] },
  { number: 151, code: 'radon', name_zh: '氡浓度', name_en: 'Radon', unit: 'Bq/m3', resolution: 1, min: 0, max: 100000, worse: 'high', sector: 'radiation', breaks: [100, 200, 300, 400] },
];

const kinds = [
  { kit: ['pm2_5', 'o3', 'temperature'], name: '空气站', classes: ['government', 'social'], share: 0.55, key: (p) => ({ pm2_5: 'a34004-Rtd', o3: 'a05024-Rtd', temperature: 'a01001-Rtd' })[p] },
  { kit: ['dissolved_oxygen', 'temperature'], name: '水质站', classes: ['government', 'enterprise'], share: 0.15, key: (p) => p },
  { kit: ['smoke_alarm', 'temperature'], name: '烟感', classes: ['enterprise'], share: 0.1, key: (p) => p },
  { kit: ['noise'], name: '噪声点', classes: ['government', 'enterprise'], share: 0.2, key: () => 'LA' },
];

/** What a property is at a place and time: a slow wave, two sources, and the hour of the day. */
function field(property, lon, lat, seconds) {
  const u = (lon - 105.2) / 5;
  const v = (lat - 28.1) / 4.1;
  const front = Math.sin(5 * u - 3 * v + seconds / 400);
  const core = Math.exp(-((lon - 106.55) ** 2 + (lat - 29.56) ** 2) / 0.16);
  const east = Math.exp(-((lon - 108.4 - 0.2 * Math.sin(seconds / 300)) ** 2 + (lat - 30.8) ** 2) / 0.35);
  switch (property) {
    case 'pm2_5':
      return 48 + 34 * front + 95 * core + 130 * east;
    case 'o3':
      return 120 + 70 * front + 60 * core;
    case 'temperature':
      return 24 + 8 * front + 4 * core - 9 * v;
    case 'dissolved_oxygen':
      return 7 + 1.6 * front - 3 * core;
    case 'noise':
      return 54 + 5 * front + 14 * core;
    default:
      return 0;
  }
}

/** things: how many; within: a function saying whether a position may be used. */
export function makeCity({ things = 1400, seed = 7, within = () => true, divisionAt = () => undefined } = {}) {
  const rnd = random(seed);
  const all = [];
  while (all.length < things) {
    const lone = rnd() < 0.55;
    const hub = [[106.55, 29.56], [108.4, 30.81], [107.39, 29.7], [106.26, 29.29], [108.77, 29.53]][Math.floor(rnd() * 5)];
    const spread = () => (rnd() + rnd() + rnd() - 1.5) * 0.35;
    const lon = lone ? 105.3 + rnd() * 4.9 : hub[0] + spread();
    const lat = lone ? 28.2 + rnd() * 4 : hub[1] + spread();
    if (!within(lon, lat)) continue;
    let pick = rnd();
    const kind = kinds.find((k) => (pick -= k.share) < 0) ?? kinds[0];
    const owner_class = kind.classes[Math.floor(rnd() * kind.classes.length)];
    const number = String(all.length + 1).padStart(4, '0');
    const owner = { government: 'eco-bureau', social: 'citizens', enterprise: 'works-12' }[owner_class];
    const placed = all.length % 60 !== 17;
    all.push({
      id: `${owner}/${kind.kit[0]}-${number}`,
      name: `${kind.name} ${number}`,
      owner_class,
      grade: ['open', 'open', 'conditional', 'restricted'][Math.floor(rnd() * 4)],
      placed,
      lon: placed ? +lon.toFixed(6) : undefined,
      lat: placed ? +lat.toFixed(6) : undefined,
      cell: placed ? latLngToCell(lat, lon, 12) : undefined,
      division: placed ? divisionAt(lon, lat) : undefined,
      serial: kind.name === '空气站' ? `CQ${number}A340` : undefined,
      auto: all.length % 90 === 5,
      jitter: (rnd() - 0.5) * 0.3,
      silent: rnd() < 0.06,
      faulty: rnd() < 0.03,
      kit: kind.kit,
      key: kind.key,
      lat0: lat,
      lon0: lon,
    });
  }
  return new City(all);
}

class City {
  constructor(things) {
    this.things = things;
    this.byId = new Map(things.map((t) => [t.id, t]));
    this.byStream = new Map();
    for (const t of things) {
      t.streams = t.kit.map((property, i) => {
        const id = (BigInt(things.indexOf(t) + 1) * 0x9e3779b97f4a7c15n + BigInt(i) * 0x1000193n) & 0xffffffffffffffffn;
        const s = { id: id.toString(16).padStart(16, '0'), thing: t, property };
        this.byStream.set(s.id, s);
        return s;
      });
    }
    this.forced = new Map();
  }

  /** The result of one Datastream at a time (Unix seconds, on the minute), with its quality bits. */
  at(stream, seconds) {
    const t = stream.thing;
    const step = Math.floor(seconds / 60) * 60;
    const wobble = Math.sin(step / 97 + t.jitter * 40) * 0.06 + Math.sin(step / 1311 + t.jitter * 9) * 0.1;
    const p = properties.find((q) => q.code === stream.property);
    let v = field(stream.property, t.lon0, t.lat0, step) * (1 + t.jitter * 0.5 + wobble);
    let quality = 0;
    if (stream.property === 'smoke_alarm') v = t.jitter > 0.147 ? 1 : 0;
    if (t.faulty && Math.floor(step / 600) % 5 === 0) {
      v *= 2.2;
      quality = 1 << 1;
    } else if (t.faulty && Math.floor(step / 600) % 5 === 2) quality = (1 << 6) | (1 << 4);
    v = Math.max(p.min, Math.min(p.max, v));
    return { result: +v.toFixed(4), quality };
  }

  latest(stream, now) {
    const t = stream.thing;
    const interval = 60;
    const lag = t.silent ? 7200 + 900 * Math.abs(t.jitter) * 10 : 3 + Math.abs(t.jitter) * 60;
    const time = Math.floor((now - lag) / interval) * interval + Math.floor(Math.abs(t.jitter) * 100) % 5;
    const forced = this.forced.get(stream.id);
    if (forced) return { time: forced.time, result: forced.result, quality: 0, fresh: true };
    const { result, quality } = this.at(stream, time);
    return { time, result, quality, fresh: now - time <= 2 * interval + 60 };
  }

  /** Summary of a set at a resolution: cell -> {n, fresh, mean, min, max, worst, newest}. */
  cells(set, resolution, now) {
    const p = properties.find((q) => q.code === set);
    const out = new Map();
    for (const t of this.things) {
      const s = t.placed && t.streams.find((x) => x.property === set);
      if (!s) continue;
      const cell = cellToParent(t.cell, resolution);
      const l = this.latest(s, now);
      let c = out.get(cell);
      if (!c) out.set(cell, (c = { n: 0, fresh: 0, sum: 0, min: Infinity, max: -Infinity, newest: 0 }));
      c.n++;
      c.newest = Math.max(c.newest, l.time);
      if (!l.fresh) continue;
      c.fresh++;
      c.sum += l.result;
      c.min = Math.min(c.min, l.result);
      c.max = Math.max(c.max, l.result);
    }
    for (const c of out.values()) {
      if (!c.fresh) continue;
      c.mean = +(c.sum / c.fresh).toFixed(4);
      const mid = p.breaks.length ? (p.breaks[0] + p.breaks.at(-1)) / 2 : 0;
      c.worst = p.worse === 'low' ? c.min : p.worse === 'high' ? c.max : Math.abs(c.min - mid) > Math.abs(c.max - mid) ? c.min : c.max;
    }
    return out;
  }

  summary(t, now, set) {
    const s = t.streams.find((x) => x.property === set) ?? t.streams[0];
    const l = this.latest(s, now);
    const { id, name, owner_class, grade, division, lon, lat, cell, placed } = t;
    return { id, name, owner_class, grade, division, lon, lat, cell, placed, latest: { property: s.property, result: l.result, unit: properties.find((p) => p.code === s.property).unit, time: iso(l.time), age_s: now - l.time, fresh: l.fresh, quality: l.quality } };
  }

  thing(t, now) {
    const { latest: _, ...rest } = this.summary(t, now);
    return {
      ...rest,
      serial: t.serial,
      auto: t.auto,
      datastreams: t.streams.map((s) => {
        const l = this.latest(s, now);
        return { id: s.id, property: s.property, statistic: 'instant', source_key: t.key(s.property), unit: properties.find((p) => p.code === s.property).unit, interval_s: 60, latest: { time: iso(l.time), result: l.result, quality: l.quality, fresh: l.fresh, age_s: now - l.time } };
      }),
    };
  }

  inCell(h3) {
    const r = getResolution(h3);
    return this.things.filter((t) => t.placed && cellToParent(t.cell, r) === h3);
  }
}

export function iso(seconds) {
  return new Date(seconds * 1000).toISOString();
}

export function boundary(h3) {
  return cellToBoundary(h3, true).slice(0, -1);
}

export function centre(h3) {
  const [lat, lon] = cellToLatLng(h3);
  return [lon, lat];
}

/** Zoom to resolution, the table of docs/api.md. */
export function resolutionOf(z) {
  return z <= 7 ? 5 : z <= 9 ? 6 : z <= 11 ? 7 : z <= 13 ? 8 : 9;
}
