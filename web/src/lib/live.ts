// The live link: one EventSource for what the viewport shows, and a watch over it. The server speaks at least every
// 5 s; when it has been quiet for two, the page asks /v1/status, so that a link that died without a sound is
// known within 5 s. EventSource resumes with Last-Event-ID by itself; what it gives up on is opened anew here.

import { get, type CellRow, type PointRow, type Status } from './api';
import type { Bounds } from './geo';

export interface View {
  set: string;
  bounds: Bounds;
  z: number;
}

export interface CellsEvent {
  set: string;
  resolution: number;
  at: number | string;
  version: number | string;
  /** These are all there are; what is not among them is to be forgotten. */
  full?: boolean;
  cells: CellRow[];
}

export type LinkState = 'connecting' | 'live' | 'lost';

export interface Listener {
  /** full: this event holds everything in the viewport; what is not in it does not exist. */
  cells(e: CellsEvent, full: boolean): void;
  /** Every one holds all points of the viewport. */
  points(rows: PointRow[], version: string): void;
  tick(e: { at: number | string; observations: number; rate: number }): void;
  status(s: Status): void;
  link(state: LinkState, heard: number): void;
}

const quietAfter = 2000;
const probeLimit = 1500;
const deadAfter = 12_000;
const retryAfter = 2000;
const errorGrace = 1000;

export class Live {
  private source: EventSource | undefined;
  private view: View | undefined;
  private heard = 0;
  private state: LinkState = 'connecting';
  private failedAt = 0;
  private openedAt = 0;
  private probing: AbortController | undefined;
  private readonly timer: ReturnType<typeof setInterval>;
  private readonly wake = () => this.watch();

  constructor(private readonly to: Listener) {
    this.timer = setInterval(this.wake, 500);
    addEventListener('online', this.wake);
    addEventListener('offline', this.wake);
  }

  /** Follows this view instead of the one before. */
  follow(view: View): void {
    this.view = view;
    this.open();
  }

  stop(): void {
    clearInterval(this.timer);
    removeEventListener('online', this.wake);
    removeEventListener('offline', this.wake);
    this.probing?.abort();
    this.source?.close();
    this.source = undefined;
  }

  private open(): void {
    if (!this.view) return;
    this.source?.close();
    const { set, bounds, z } = this.view;
    const bbox = bounds.map((v) => v.toFixed(5)).join(',');
    const source = new EventSource(`/live?set=${encodeURIComponent(set)}&bbox=${bbox}&z=${z}`);
    let first = true;
    const on = <T>(name: string, act: (data: T, id: string) => void) =>
      source.addEventListener(name, (e) => {
        if (this.source !== source) return;
        this.hear();
        const { data, lastEventId } = e as MessageEvent<string>;
        act(JSON.parse(data) as T, lastEventId);
      });
    on<CellsEvent>('cells', (e) => {
      if (e.set !== set) return;
      this.to.cells(e, first || e.full === true);
      first = false;
    });
    on<PointRow[]>('points', (rows, id) => this.to.points(rows, id));
    on<{ at: number; observations: number; rate: number }>('status', (e) => this.to.tick(e));
    source.onopen = () => this.source === source && this.hear();
    source.onerror = () => {
      if (this.source === source && !this.failedAt) this.failedAt = Date.now();
    };
    this.source = source;
    this.openedAt = Date.now();
  }

  private hear(): void {
    this.heard = Date.now();
    this.failedAt = 0;
    this.set('live');
  }

  private set(state: LinkState): void {
    if (state === this.state && state !== 'live') return;
    this.state = state;
    this.to.link(state, this.heard);
  }

  private watch(): void {
    const now = Date.now();
    if (!this.source) return;
    if (this.failedAt && now - this.failedAt > errorGrace) this.set('lost');
    const gaveUp = this.source.readyState === EventSource.CLOSED;
    const dead = now - Math.max(this.heard, this.openedAt) > deadAfter;
    if ((gaveUp && now - this.openedAt > retryAfter) || dead) this.open();
    if (now - Math.max(this.heard, this.openedAt) > quietAfter || navigator.onLine === false) void this.probe();
  }

  /** Asks for the status: an answer proves the server, not the stream, so it never turns "lost" into "live". */
  private async probe(): Promise<void> {
    if (this.probing) return;
    const mine = (this.probing = new AbortController());
    const began = Date.now();
    try {
      this.to.status(await get<Status>('/v1/status', mine.signal, probeLimit));
      if (this.state === 'lost' && Date.now() - this.openedAt > retryAfter) this.open();
    } catch {
      if (!mine.signal.aborted && this.heard < began) this.set('lost');
    }
    setTimeout(() => (this.probing = undefined), Math.max(0, began + probeLimit - Date.now()));
  }
}
