// Ages: how old what is shown is. Every number on the page carries one.

import { say, type Lang } from './words';

/** Seconds as one number and one unit: 8 s, 3 min, 5 h, 2 d. */
export function span(seconds: number, lang: Lang): string {
  const s = Math.max(0, seconds);
  if (s < 10) return say(lang, 'age.s', { n: s < 1 ? '<1' : Math.floor(s) });
  if (s < 90) return say(lang, 'age.s', { n: Math.floor(s) });
  if (s < 90 * 60) return say(lang, 'age.min', { n: Math.floor(s / 60) });
  if (s < 48 * 3600) return say(lang, 'age.h', { n: Math.floor(s / 3600) });
  return say(lang, 'age.d', { n: Math.floor(s / 86400) });
}

/** "3 s ago"; a time more than a few seconds in the future is said to be one. */
export function ago(seconds: number | null | undefined, lang: Lang): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return say(lang, 'age.never');
  if (seconds < -5) return say(lang, 'age.ahead', { age: span(-seconds, lang) });
  return say(lang, 'age.ago', { age: span(seconds, lang) });
}

/** Milliseconds since 1970 from what the API sends: a number of ms, or RFC 3339. */
export function millis(t: number | string | null | undefined): number {
  if (typeof t === 'number') return t;
  return t ? Date.parse(t) : NaN;
}

/** Clock time of the viewer, with the date only when it is not today's. */
export function clock(ms: number, now: number): string {
  if (!Number.isFinite(ms)) return '–';
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, '0');
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  const same = new Date(now).toDateString() === d.toDateString();
  return same ? time : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`;
}
