// Outlines of divisions: where to write a name, which division a point lies in, what to fly to. Degrees, WGS 84.

export type LonLat = [number, number];
type Ring = LonLat[];
export type Bounds = [west: number, south: number, east: number, north: number];

export interface Outline {
  type: 'Feature';
  properties: { code: string | number; name: string; code_now?: string; name_now?: string };
  geometry: { type: 'Polygon'; coordinates: Ring[] } | { type: 'MultiPolygon'; coordinates: Ring[][] };
}

export interface Outlines {
  type: 'FeatureCollection';
  features: Outline[];
}

/** A division with what the page asks of it again and again worked out once. */
export interface Place {
  code: string;
  name: string;
  bounds: Bounds;
  label: LonLat;
  area: number;
  polygons: Ring[][];
}

export function places(outlines: Outlines): Place[] {
  return outlines.features.map((f) => {
    const polygons = f.geometry.type === 'Polygon' ? [f.geometry.coordinates] : f.geometry.coordinates;
    const largest = polygons.reduce((a, b) => (ringArea(b[0]) > ringArea(a[0]) ? b : a));
    return {
      code: String(f.properties.code_now ?? f.properties.code),
      name: f.properties.name_now ?? f.properties.name,
      bounds: boundsOf(polygons.flatMap((p) => p[0])),
      label: insidePoint(largest),
      area: ringArea(largest[0]),
      polygons,
    };
  });
}

export function placeAt(all: readonly Place[], at: LonLat): Place | undefined {
  return all.find((p) => within(p.bounds, at) && p.polygons.some((poly) => contains(poly, at)));
}

/** The division a point is in or, a little outside all of them, the one with the nearest corner: the middle of a cell on
 * the city's edge lies outside, its Things do not. */
export function placeNear(all: readonly Place[], at: LonLat, degrees = 0.2): Place | undefined {
  const inside = placeAt(all, at);
  if (inside) return inside;
  let best: Place | undefined;
  let least = degrees ** 2;
  for (const p of all) {
    if (!within(grow(p.bounds, 0.5), at)) continue;
    for (const polygon of p.polygons) {
      const d = distanceTo(polygon[0], at, -1);
      if (d < least) [best, least] = [p, d];
    }
  }
  return best;
}

export function boundsOf(points: readonly LonLat[]): Bounds {
  const b: Bounds = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [lon, lat] of points) {
    b[0] = Math.min(b[0], lon);
    b[1] = Math.min(b[1], lat);
    b[2] = Math.max(b[2], lon);
    b[3] = Math.max(b[3], lat);
  }
  return b;
}

export function union(all: readonly Bounds[]): Bounds {
  return boundsOf(all.flatMap((b): LonLat[] => [[b[0], b[1]], [b[2], b[3]]]));
}

export function within(b: Bounds, [lon, lat]: LonLat): boolean {
  return lon >= b[0] && lon <= b[2] && lat >= b[1] && lat <= b[3];
}

/** Grown by a share of its own size on every side. */
export function grow(b: Bounds, share: number): Bounds {
  const dx = (b[2] - b[0]) * share;
  const dy = (b[3] - b[1]) * share;
  return [Math.max(-180, b[0] - dx), Math.max(-90, b[1] - dy), Math.min(180, b[2] + dx), Math.min(90, b[3] + dy)];
}

/** Even-odd rule over all rings, so holes are outside. */
function contains(polygon: Ring[], [x, y]: LonLat): boolean {
  let inside = false;
  for (const ring of polygon) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [xi, yi] = ring[i];
      const [xj, yj] = ring[j];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
    }
  }
  return inside;
}

function ringArea(ring: Ring): number {
  let sum = 0;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) sum += ring[j][0] * ring[i][1] - ring[i][0] * ring[j][1];
  return Math.abs(sum / 2);
}

/** A point well inside: the best of a grid by distance to the outline, so that the name lies in its division. */
function insidePoint(polygon: Ring[]): LonLat {
  const b = boundsOf(polygon[0]);
  const steps = 14;
  let best: LonLat = [(b[0] + b[2]) / 2, (b[1] + b[3]) / 2];
  let room = -1;
  for (let i = 1; i < steps; i++) {
    for (let j = 1; j < steps; j++) {
      const p: LonLat = [b[0] + ((b[2] - b[0]) * i) / steps, b[1] + ((b[3] - b[1]) * j) / steps];
      if (!contains(polygon, p)) continue;
      const d = distanceTo(polygon[0], p, room);
      if (d > room) [best, room] = [p, d];
    }
  }
  return best;
}

/** Squared distance to the nearest corner; gives up as soon as it is below what was already reached. */
function distanceTo(ring: Ring, [x, y]: LonLat, enough: number): number {
  let least = Infinity;
  for (const [rx, ry] of ring) {
    const d = (rx - x) ** 2 * 0.75 + (ry - y) ** 2;
    if (d < least) least = d;
    if (least < enough) break;
  }
  return least;
}
