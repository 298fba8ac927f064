// What the page is showing now: language, set, selection, link, and the clock everything's age is counted by. The
// address carries the part another person should see when they open it: ?set=&lang=&by=&cell=&thing=#z/lat/lon.

import { ago, millis, span } from './age';
import { ApiError, type Latest, type Property, type Status } from './api';
import type { By } from './cells';
import { divisionName } from './districts';
import { placeNear, type LonLat, type Place } from './geo';
import type { LinkState } from './live';
import { isSwitch, result, unitText } from './units';
import { chooseLang, known, say, type Key, type Lang } from './words';

const asked = new URLSearchParams(location.search);

export class Page {
  lang = $state<Lang>(chooseLang(asked.get('lang'), navigator.languages));
  set = $state(asked.get('set') ?? '');
  by = $state<By>(asked.get('by') === 'mean' ? 'mean' : 'worst');
  cell = $state(asked.get('cell') ?? '');
  thing = $state(asked.get('thing') ?? '');
  placeless = $state(false);
  balance = $state(false);

  properties = $state.raw<Property[]>([]);
  places = $state.raw<Place[]>([]);
  towns = $state.raw(new Map<string, string>());
  status = $state.raw<Status | undefined>(undefined);
  link = $state<LinkState>('connecting');
  heard = $state(0);

  /** The server's clock now, in ms; ages are counted by it, so that a wrong clock at the desk does not matter. */
  now = $state(Date.now());
  private skew = 0;
  private readonly placeOf = new Map<string, Place>();

  property = $derived(this.properties.find((p) => p.code === this.set));

  t = (key: Key, values?: Record<string, string | number>): string => say(this.lang, key, values);

  /** Words for something the data says ('sector.' + x); unknown ones are shown as they came. */
  word(prefix: string, code: string): string {
    const key = `${prefix}.${code}`;
    return known(key) ? this.t(key) : code;
  }

  name(p: Property): string {
    return this.lang === 'zh' ? p.name_zh : p.name_en;
  }

  nameOf(code: string): string {
    const p = this.find(code);
    return p ? this.name(p) : code;
  }

  find(code: string): Property | undefined {
    return this.properties.find((p) => p.code === code);
  }

  unit(p: Property | undefined): string {
    return p ? unitText(p.unit) : '';
  }

  /** A result in words: number and unit, or yes and no for what can only be that. */
  value(v: number | null | undefined, p: Property | undefined): string {
    if (isSwitch(p) && (v === 0 || v === 1)) return this.t(v ? 'yes' : 'no');
    const text = result(v, p);
    const unit = this.unit(p);
    if (text === '–' || !unit) return text;
    return unit === '°' || unit === '%' ? text + unit : `${text} ${unit}`;
  }

  /** The newest value of something in words, whatever the catalogue knows of it. */
  latest(l: Latest | undefined, property: string | undefined, unit: string | undefined): string {
    if (!l) return '–';
    if (l.result === null || l.result === undefined) return l.text || '–';
    const p = property ? this.find(property) : undefined;
    return p ? this.value(l.result, p) : `${result(l.result, undefined)} ${unitText(unit ?? '')}`.trim();
  }

  ago(time: number | string | null | undefined): string {
    const ms = millis(time);
    return ago(Number.isFinite(ms) ? (this.now - ms) / 1000 : null, this.lang);
  }

  span(seconds: number): string {
    return span(seconds, this.lang);
  }

  division(code: string | number | undefined): string {
    const c = code ? String(code) : '';
    const place = this.places.find((p) => p.code === c.slice(0, 6));
    const district = place ? divisionName(place.code, place.name, this.lang) : '';
    const town = c.length === 9 ? (this.towns.get(c) ?? '') : '';
    return [district, town].filter(Boolean).join(' · ') || c;
  }

  /** The district of a point; id (a cell) lets the answer be remembered, for lists drawn several times a second. */
  whereIs(at: LonLat | undefined, id = ''): string {
    let place = this.placeOf.get(id);
    if (!place && at) {
      place = placeNear(this.places, at);
      if (place && id) this.placeOf.set(id, place);
    }
    return place ? divisionName(place.code, place.name, this.lang) : this.t('worst.anywhere');
  }

  /** Server time as seen with this answer. */
  setClock(at: number | string | undefined): void {
    const ms = millis(at);
    if (Number.isFinite(ms)) this.skew = ms - Date.now();
    this.tick();
  }

  tick(): void {
    this.now = Date.now() + this.skew;
  }

  setStatus(s: Status): void {
    this.status = s;
    this.setClock(s.now);
  }

  /** Why something did not come, for a person to read. */
  why(err: unknown): string {
    if (!(err instanceof ApiError)) return err instanceof Error ? err.message : String(err);
    if (err.status === 0) return this.t('error.network');
    if (err.status === -1) return this.t('error.timeout');
    if (err.status === -2) return this.t('error.badjson');
    const key = `error.${err.status}`;
    const words = known(key) ? this.t(key) : this.t('error.other', { status: err.status });
    return err.detail || err.title ? `${words}: ${err.detail || err.title}` : words;
  }

  /** Writes the address; the map itself keeps #z/lat/lon. */
  remember(): void {
    const q = new URLSearchParams(location.search);
    const put = (k: string, v: string) => (v ? q.set(k, v) : q.delete(k));
    put('set', this.set);
    put('lang', this.lang);
    put('by', this.by === 'worst' ? '' : this.by);
    put('cell', this.cell);
    put('thing', this.thing);
    const query = q.toString().replaceAll('%2F', '/');
    history.replaceState(history.state, '', location.pathname + (query ? '?' + query : '') + location.hash);
  }
}

export const page = new Page();
