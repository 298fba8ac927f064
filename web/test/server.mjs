// A server that speaks docs/api.md with an invented city (city.mjs), for the page's own tests and for working on the
// page alone: `npm run build && npm run fixture`. MVT, SSE with Last-Event-ID, problem+json are real; the data is not.

import { GeoJSONVT } from '@maplibre/geojson-vt';
import { fromGeojsonVt } from '@maplibre/vt-pbf';
import { getResolution } from 'h3-js';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { boundary, centre, iso, makeCity, properties, resolutionOf } from './city.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', 'dist');
const mime = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
// The policy that situ itself sends: what it forbids fails here too.
const csp = [...readFileSync(join(here, '..', 'web.go'), 'utf8').match(/const Policy = ([^\n]+\n[^\n]+)/)[1].matchAll(/"([^"]*)"/g)].map((m) => m[1]).join('');

/** The repository's own outlines; without them six plain boxes, so that the page's tests need nothing else. */
function outlines() {
  const file = join(here, '..', '..', 'pkg', 'geo', 'data', 'districts.geojson.gz');
  if (existsSync(file)) {
    const g = JSON.parse(gunzipSync(readFileSync(file)));
    for (const f of g.features) f.properties = { code: f.properties.code_now ?? f.properties.code, name: f.properties.name_now ?? f.properties.name };
    return g;
  }
  const names = [['500101', '万州区'], ['500102', '涪陵区'], ['500103', '渝中区'], ['500112', '渝北区'], ['500114', '黔江区'], ['500116', '江津区']];
  return {
    type: 'FeatureCollection',
    features: names.map(([code, name], i) => {
      const [w, s] = [105.4 + (i % 3) * 1.6, 28.3 + Math.floor(i / 3) * 1.9];
      return { type: 'Feature', properties: { code, name }, geometry: { type: 'Polygon', coordinates: [[[w, s], [w + 1.6, s], [w + 1.6, s + 1.9], [w, s + 1.9], [w, s]]] } };
    }),
  };
}

function inside(f, lon, lat) {
  const polygons = f.geometry.type === 'Polygon' ? [f.geometry.coordinates] : f.geometry.coordinates;
  return polygons.some(([ring]) => {
    let odd = false;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [[xi, yi], [xj, yj]] = [ring[i], ring[j]];
      if (yi > lat !== yj > lat && lon < ((xj - xi) * (lat - yi)) / (yj - yi) + xi) odd = !odd;
    }
    return odd;
  });
}

/** Starts on a free port (or port). The returned object also plays the accidents the tests need. */
export async function start({ port = 0, things = 1400, live = true, empty = false, history = 'on', banner = '', lost = 0 } = {}) {
  const geo = outlines();
  const where = (lon, lat) => geo.features.find((f) => inside(f, lon, lat))?.properties.code;
  const city = makeCity({ things, within: (lon, lat) => where(lon, lat) !== undefined, divisionAt: where });
  const started = Date.now();
  const t0 = started / 1000;
  const state = { version: 1, observations: 1_234_567, down: false, mute: false, lost, streams: new Set(), requests: [], indexes: new Map(), extra: new Map() };
  const now = () => Date.now() / 1000;
  const sets = () => (empty ? [] : properties.filter((p) => p.code !== 'radon').map((p) => p.code));

  function cells(set, r) {
    const all = city.cells(set, r, live ? now() : t0);
    for (const [h, c] of state.extra) if (getResolution(h) === r) all.set(h, c);
    return all;
  }

  /** One vector tile index a set, resolution and version; a handful are kept. */
  function index(set, key, make) {
    const name = `${set}/${key}/${state.version}`;
    let i = state.indexes.get(name);
    if (!i) {
      if (state.indexes.size > 20) state.indexes.clear();
      state.indexes.set(name, (i = new GeoJSONVT({ type: 'FeatureCollection', features: make() }, { maxZoom: 18, indexMaxZoom: 5, tolerance: 0, buffer: 128, extent: 4096 })));
    }
    return i;
  }

  function tile(set, z, x, y) {
    if (z >= 15) {
      const features = () =>
        points(set).map(([thing, lon, lat, result, newest, fresh]) => ({ type: 'Feature', properties: { thing, ...(fresh ? { result } : {}), newest, fresh, class: city.byId.get(thing).owner_class }, geometry: { type: 'Point', coordinates: [lon, lat] } }));
      const t = index(set, 'points', features).getTile(z, x, y);
      return t ? fromGeojsonVt({ points: t }, { version: 2, extent: 4096 }) : undefined;
    }
    const r = resolutionOf(z);
    const features = () =>
      [...cells(set, r)].map(([cell, c]) => {
        const ring = boundary(cell);
        const { n, fresh, newest } = c;
        return { type: 'Feature', properties: { cell, n, fresh, newest, ...(fresh ? { mean: c.mean, min: c.min, max: c.max, worst: c.worst } : {}) }, geometry: { type: 'Polygon', coordinates: [[...ring, ring[0]]] } };
      });
    const t = index(set, r, features).getTile(z, x, y);
    return t ? fromGeojsonVt({ cells: t }, { version: 2, extent: 4096 }) : undefined;
  }

  function points(set) {
    return city.things.flatMap((t) => {
      const s = t.placed && t.streams.find((x) => x.property === set);
      if (!s) return [];
      const l = city.latest(s, now());
      return [[t.id, t.lon, t.lat, l.fresh ? l.result : null, l.time, l.fresh ? 1 : 0]];
    });
  }

  const row = ([cell, c]) => [cell, c.n, c.fresh, c.mean ?? null, c.fresh ? c.min : null, c.fresh ? c.max : null, c.worst ?? null, c.newest];

  function say(stream, event, data, id) {
    if (state.mute) return;
    stream.res.write(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
  }

  function sendCells(stream, all) {
    if (stream.z >= 15) {
      const [w, s, e, n] = stream.bbox;
      return say(stream, 'points', points(stream.set).filter((p) => p[1] >= w && p[1] <= e && p[2] >= s && p[2] <= n), state.version);
    }
    const r = resolutionOf(stream.z);
    const [w, s, e, n] = stream.bbox;
    const rows = [];
    for (const entry of cells(stream.set, r)) {
      const [lon, lat] = centre(entry[0]);
      if (lon < w || lon > e || lat < s || lat > n) continue;
      const text = JSON.stringify(row(entry));
      if (!all && stream.sent.get(entry[0]) === text) continue;
      stream.sent.set(entry[0], text);
      rows.push(row(entry));
    }
    if (rows.length || all) say(stream, 'cells', { set: stream.set, resolution: r, at: Date.now(), version: state.version, ...(all ? { full: true } : {}), cells: rows }, state.version);
  }

  const sendStatus = (stream) => say(stream, 'status', { at: Date.now(), observations: Math.round(state.observations), rate: 1021.4 });

  function openLive(req, res, q) {
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    res.write('retry: 1000\n\n');
    const stream = { res, set: q.get('set'), bbox: q.get('bbox').split(',').map(Number), z: Number(q.get('z')), sent: new Map(), resumed: req.headers['last-event-id'] };
    state.streams.add(stream);
    req.on('close', () => state.streams.delete(stream));
    sendCells(stream, true);
    sendStatus(stream);
  }

  const routes = {
    '/v1/properties': () => properties,
    '/v1/divisions': () => [...geo.features.map((f) => ({ ...f.properties, tier: 'district', parent: '5001' })), { code: '500101001', name: '高笋塘街道', tier: 'town', parent: '500101' }],
    '/v1/divisions.geojson': () => geo,
    '/v1/status': () => ({
      version: 'fixture',
      started: new Date(started).toISOString(),
      now: new Date().toISOString(),
      demo: true,
      history,
      banner,
      things: city.things.length,
      datastreams: city.byStream.size,
      observations: Math.round(state.observations),
      dead_letters: 3,
      rates: { messages_per_s: 510, observations_per_s: 1021.4 },
      age_s: 0.4,
      sets: sets(),
      balance: history === 'on' ? { hours: 24, at: iso(now() - 12), closed_until: iso(now() - 7), held_by: 'gw-north', messages: 4_406_400 + state.lost, with_rows: 4_391_218, dead_letters: 1204, empties: 13_978, gaps: 0, missing: state.lost, rows_missing: 2 * state.lost, rows_doubled: 0, letters_missing: 0, unjudged: 512, repeats: 3, observations: 8_800_000 } : undefined,
      canaries: ['gw-north', 'gw-south'].map((gateway, i) => ({ gateway, age_s: 3.2 + i, select_age_s: 3.2 + i, live_p50_ms: 9, live_p99_ms: 41, select_p50_ms: history === 'on' ? 612 : null, select_p99_ms: history === 'on' ? 1340 : null, missing: i ? Math.min(state.lost, 1) : 0, doubled: 0 })),
    }),
    '/v1/things': (q) => {
      const limit = Number(q.get('limit') ?? 100);
      const from = Number(q.get('cursor') ?? 0);
      const text = (q.get('q') ?? '').toLowerCase();
      const fit = city.things.filter((t) => (q.get('place') !== 'none' || !t.placed) && (!text || t.id.toLowerCase().includes(text) || t.name.includes(text)));
      return { things: fit.slice(from, from + limit).map((t) => city.summary(t, now())), next: from + limit < fit.length ? String(from + limit) : '' };
    },
    '/v1/observations': (q) => {
      if (history !== 'on') throw new Problem(503, 'history unavailable', 'the engine is not there');
      const s = city.byStream.get(q.get('datastream'));
      if (!s) throw new Problem(404, 'no such Datastream', '');
      const [from, to] = [Date.parse(q.get('from')) / 1000, Math.min(now(), Date.parse(q.get('to')) / 1000)];
      const observations = [];
      const begin = Number(q.get('cursor') ?? Math.ceil(from / 60) * 60);
      const limit = Number(q.get('limit') ?? 1000);
      let t = begin;
      for (; t <= to && observations.length < limit; t += 60) {
        if (Math.floor(t / 4000) % 6 === 3 && t % 4000 < 1500) continue; // now and then a Thing is silent
        observations.push({ time: iso(t), ...city.at(s, t), arrival: iso(t + 0.2) });
      }
      return { observations, next: t <= to ? String(t) : '' };
    },
  };

  function answer(url) {
    const path = decodeURIComponent(url.pathname);
    const exact = routes[path];
    if (exact) return exact(url.searchParams);
    if (path.startsWith('/v1/cells/')) {
      const h3 = path.slice(10);
      if (!/^8[0-9a-f]{14}$/.test(h3)) throw new Problem(400, 'not an H3 cell', h3);
      const r = parseInt(h3[1], 16);
      const set = url.searchParams.get('set');
      const wanted = properties.filter((p) => !set || p.code === set);
      const list = wanted.flatMap((p) => {
        const c = cells(p.code, r).get(h3);
        return c ? [{ property: p.code, n: c.n, fresh: c.fresh, mean: c.mean ?? null, min: c.fresh ? c.min : null, max: c.fresh ? c.max : null, worst: c.worst ?? null, newest: iso(c.newest) }] : [];
      });
      const inCell = city.inCell(h3).filter((t) => !set || t.kit.includes(set));
      return { cell: h3, resolution: r, center: centre(h3), boundary: boundary(h3), at: new Date().toISOString(), properties: list, things: inCell.slice(0, 500).map((t) => city.summary(t, now(), set)), more: inCell.length > 500 };
    }
    if (path.startsWith('/v1/things/')) {
      const t = city.byId.get(path.slice(11));
      if (!t) throw new Problem(404, 'no such Thing', path.slice(11));
      return city.thing(t, now());
    }
    const json = path.match(/^\/tiles\/(\w+)\.json$/);
    if (json) return { tilejson: '3.0.0', tiles: [`/tiles/${json[1]}/{z}/{x}/{y}.mvt`], minzoom: 0, maxzoom: 16, vector_layers: [{ id: 'cells', fields: {} }, { id: 'points', fields: {} }] };
    return undefined;
  }

  function file(path, res) {
    const full = normalize(join(dist, path === '/' ? 'index.html' : path));
    if (!full.startsWith(dist) || !existsSync(full) || !statSync(full).isFile()) throw new Problem(404, 'no such page', path);
    res.writeHead(200, { 'Content-Type': mime[extname(full)] ?? 'application/octet-stream', 'Content-Security-Policy': csp, 'X-Content-Type-Options': 'nosniff' });
    res.end(readFileSync(full));
  }

  const server = createServer((req, res) => {
    const url = new URL(req.url, 'http://fixture');
    state.requests.push({ path: url.pathname + url.search, lastEventId: req.headers['last-event-id'] });
    if (state.down) return req.socket.destroy();
    if (state.mute) return; // a server that neither speaks nor hangs up
    try {
      const t = url.pathname.match(/^\/tiles\/(\w+)\/(\d+)\/(\d+)\/(\d+)\.mvt$/);
      if (t) {
        const body = tile(t[1], Number(t[2]), Number(t[3]), Number(t[4]));
        res.writeHead(body ? 200 : 204, { 'Content-Type': 'application/vnd.mapbox-vector-tile', 'Cache-Control': 'no-cache', 'Situ-Resolution': String(resolutionOf(Number(t[2]))) });
        return res.end(body);
      }
      if (url.pathname === '/live') return openLive(req, res, url.searchParams);
      const data = answer(url);
      if (data === undefined) return file(url.pathname, res);
      res.writeHead(200, { 'Content-Type': 'application/json' });
      res.end(JSON.stringify(data));
    } catch (err) {
      const p = err instanceof Problem ? err : new Problem(500, 'error', String(err));
      res.writeHead(p.status, { 'Content-Type': 'application/problem+json' });
      res.end(JSON.stringify({ title: p.title, status: p.status, detail: p.detail }));
    }
  });

  const ticker = setInterval(() => {
    state.observations += 510.7;
    if (!live) return;
    state.version++;
    for (const s of state.streams) sendCells(s, false);
  }, 500);
  const heart = setInterval(() => state.streams.forEach(sendStatus), 5000);
  await new Promise((done) => server.listen(port, '127.0.0.1', done));

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    city,
    state,
    cells,
    /** One cell changes, as the live link would say it. */
    push(set, rows) {
      state.version++;
      for (const s of state.streams) if (s.set === set) say(s, 'cells', { set, resolution: resolutionOf(s.z), at: Date.now(), version: state.version, cells: rows }, state.version);
    },
    /** Every connection ends and none is taken. */
    cut() {
      state.down = true;
      server.closeAllConnections();
      state.streams.clear();
    },
    /** Nothing ends, nothing comes: a cable pulled behind a switch. */
    mute() {
      state.mute = true;
    },
    heal() {
      state.down = state.mute = false;
    },
    async close() {
      clearInterval(ticker);
      clearInterval(heart);
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

class Problem extends Error {
  constructor(status, title, detail) {
    super(title);
    Object.assign(this, { status, title, detail });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const s = await start({ port: Number(process.env.PORT ?? 8099) });
  console.log(`the page over an invented city: ${s.url}`);
}
