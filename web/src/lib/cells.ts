// What the live link has said about the viewport: the newest row of every cell (or Thing, close up), and the summary
// the legend and the "worst now" list are made of. No map, no page: test/cells.test.mjs runs it alone.

import type { CellRow, PointRow, Property } from './api';
import { within, type Bounds, type LonLat } from './geo';
import { classOf } from './ramp';

export type By = 'worst' | 'mean';

export interface Cell {
  n: number;
  fresh: number;
  mean: number | null;
  min: number | null;
  max: number | null;
  worst: number | null;
  newest: number | null;
  at?: LonLat;
}

export interface Entry extends Cell {
  id: string;
  value: number;
}

export interface Summary {
  /** How many cells a class, lowest values first. */
  classes: number[];
  grey: number;
  things: number;
  fresh: number;
  newest: number | null;
  /** Everything with a fresh value, the worst first. */
  worst: Entry[];
}

export function cellOf(row: CellRow): Cell {
  const [, n, fresh, mean, min, max, worst, newest] = row;
  return { n, fresh, mean, min, max, worst, newest };
}

export function pointOf(row: PointRow): Cell {
  const [, lon, lat, result, newest, fresh] = row;
  const value = fresh ? result : null;
  return { n: 1, fresh, mean: value, min: value, max: value, worst: value, newest, at: [lon, lat] };
}

/** How bad a value is, only to compare: for 'both' the distance from the middle class. */
export function badness(v: number, p: Pick<Property, 'worse' | 'breaks'>): number {
  if (p.worse === 'high') return v;
  if (p.worse === 'low') return -v;
  const b = p.breaks;
  if (!b.length) return 0;
  const mid = (b.length - 1) / 2;
  const centre = (b[Math.floor(mid)] + b[Math.ceil(mid)]) / 2;
  return Math.abs(v - centre);
}

export class Cells {
  readonly rows = new Map<string, Cell>();

  /** Takes one event; all of the viewport when first. Cells without any Thing vanish. */
  apply(entries: Iterable<[string, Cell]>, first: boolean): void {
    const known = first ? new Map(this.rows) : this.rows;
    if (first) this.rows.clear();
    for (const [id, cell] of entries) {
      const at = cell.at ?? known.get(id)?.at;
      if (cell.n === 0) this.rows.delete(id);
      else this.rows.set(id, at ? { ...cell, at } : cell);
    }
  }

  clear(): void {
    this.rows.clear();
  }

  /** Counts what lies in bounds; centre tells where a cell is, for those the tiles have shown already. */
  summary(p: Property, by: By, bounds: Bounds, centre: (id: string) => LonLat | undefined): Summary {
    const s: Summary = { classes: new Array<number>(p.breaks.length + 1).fill(0), grey: 0, things: 0, fresh: 0, newest: null, worst: [] };
    for (const [id, c] of this.rows) {
      const at = c.at ?? centre(id);
      if (!at || !within(bounds, at)) continue;
      s.things += c.n;
      s.fresh += c.fresh;
      if (c.newest !== null && (s.newest === null || c.newest > s.newest)) s.newest = c.newest;
      const value = c.fresh > 0 ? c[by] : null;
      if (value === null) {
        s.grey++;
        continue;
      }
      s.classes[classOf(value, p.breaks)]++;
      s.worst.push({ ...c, id, at, value });
    }
    s.worst.sort((a, b) => badness(b.value, p) - badness(a.value, p) || a.id.localeCompare(b.id));
    return s;
  }
}
