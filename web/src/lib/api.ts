// The HTTP interface of docs/api.md as the page sees it: shapes, and one get that turns every failure into an
// ApiError whose words the page can show.

import type { Quality } from './quality';

export interface Property {
  number: number;
  code: string;
  name_zh: string;
  name_en: string;
  unit: string;
  resolution: number;
  min: number;
  max: number;
  worse: 'high' | 'low' | 'both';
  sector: string;
  breaks: number[];
}

export interface Division {
  code: string | number;
  name: string;
  tier: string;
  parent?: string | number;
  center?: [number, number];
}

export interface Status {
  version: string;
  started: string;
  now: string | number;
  demo: boolean;
  history: 'on' | 'off' | 'unavailable';
  banner?: string;
  things: number;
  datastreams: number;
  observations: number;
  dead_letters: number;
  rates: { messages_per_s: number; observations_per_s: number };
  age_s: number | null;
  sets: string[];
  balance?: Balance;
  canaries?: Canary[];
}

/** What became of the acknowledged messages of the last 24 hours. */
export interface Balance {
  hours: number;
  at: string;
  closed_until: string | null;
  held_by?: string;
  messages: number;
  with_rows: number;
  dead_letters: number;
  empties: number;
  gaps: number;
  missing: number;
  rows_missing: number;
  rows_doubled: number;
  letters_missing: number;
}

/** A gateway's own reading that goes the whole way. */
export interface Canary {
  gateway: string;
  age_s: number | null;
  select_age_s: number | null;
  live_p50_ms: number | null;
  live_p99_ms: number | null;
  select_p50_ms: number | null;
  select_p99_ms: number | null;
  missing: number;
  doubled: number;
}

/** Messages, rows, dead letters and canaries that are not as they should be; 0 is the promise. */
export function wrong(s: Status | undefined): number {
  const b = s?.balance;
  const ofBalance = b ? b.missing + b.rows_missing + b.rows_doubled + b.letters_missing : 0;
  return ofBalance + (s?.canaries ?? []).reduce((sum, c) => sum + c.missing + c.doubled, 0);
}

export interface CellProperty {
  property: string;
  n: number;
  fresh: number;
  mean?: number | null;
  min?: number | null;
  max?: number | null;
  worst?: number | null;
  newest: string | number | null;
}

/** The newest value of a Datastream; result is null where the value is text. */
export interface Latest {
  property?: string;
  source_key?: string;
  result: number | null;
  text?: string;
  unit?: string;
  time: string;
  age_s: number;
  fresh?: boolean;
  quality: Quality;
}

export interface ThingSummary {
  id: string;
  name?: string;
  owner_class: string;
  grade: string;
  division?: string | number;
  lon?: number;
  lat?: number;
  cell?: string;
  placed: boolean;
  latest?: Latest;
}

export interface CellInfo {
  cell: string;
  resolution: number;
  center: [number, number];
  boundary: [number, number][];
  at: string | number;
  properties: CellProperty[];
  things: ThingSummary[];
  more: boolean | number;
}

export interface Datastream {
  id: string;
  property: string;
  statistic: string;
  source_key: string;
  unit?: string;
  interval_s?: number;
  latest?: Latest;
}

export interface Thing extends Omit<ThingSummary, 'latest'> {
  address?: string;
  serial?: string;
  auto?: boolean;
  retired?: boolean;
  datastreams: Datastream[];
}

export interface Observation {
  time: string;
  result: number | null;
  text?: string;
  quality: Quality;
  arrival?: string;
}

/** One cell as /live sends it: cell, n, fresh, mean, min, max, worst, newest (Unix seconds). */
export type CellRow = [string, number, number, number | null, number | null, number | null, number | null, number | null];

/** One Thing as /live sends it for z >= 15: id, lon, lat, result, newest, fresh. */
export type PointRow = [string, number, number, number | null, number | null, number];

/** Why a request failed. status 0: nothing came back at all; -1: too late; -2: not readable. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title = '',
    readonly detail = '',
  ) {
    super(`${status} ${title} ${detail}`.trim());
  }
}

/** Does the position of a Thing exist, and where is it? */
export function positionOf(t: ThingSummary | Thing): [number, number] | undefined {
  if (!t.placed) return undefined;
  return t.lon === undefined || t.lat === undefined ? undefined : [t.lon, t.lat];
}

/** The path of a Thing keeps its slash: /v1/things/{owner}/{name}. */
export function thingPath(id: string): string {
  return '/v1/things/' + id.split('/').map(encodeURIComponent).join('/');
}

export async function get<T>(path: string, signal?: AbortSignal, timeout = 10_000): Promise<T> {
  const mine = new AbortController();
  let late = false;
  const stop = () => mine.abort();
  const limit = setTimeout(() => {
    late = true;
    stop();
  }, timeout);
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();
  try {
    const res = await fetch(path, { headers: { Accept: 'application/json' }, signal: mine.signal });
    if (!res.ok) throw await problem(res);
    return await body<T>(res);
  } catch (err) {
    if (signal?.aborted || err instanceof ApiError) throw err;
    throw new ApiError(late ? -1 : 0);
  } finally {
    clearTimeout(limit);
    signal?.removeEventListener('abort', stop);
  }
}

async function body<T>(res: Response): Promise<T> {
  try {
    return (await res.json()) as T;
  } catch (err) {
    if (err instanceof SyntaxError) throw new ApiError(-2);
    throw err;
  }
}

/** RFC 9457 if the server sends it, else the bare status. */
async function problem(res: Response): Promise<ApiError> {
  try {
    const p = (await res.json()) as { title?: string; detail?: string };
    return new ApiError(res.status, p.title ?? '', p.detail ?? '');
  } catch {
    return new ApiError(res.status);
  }
}
