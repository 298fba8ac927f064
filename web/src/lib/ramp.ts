// Colours of the classes between a property's breaks. On a dark ground the brighter a hexagon, the worse; lightness
// alone orders the classes, so they can be told apart without seeing hue (test/ramp.test.mjs checks the distances for
// full, protan, deutan and tritan sight, and against the grey of "no fresh data").

import type { Property } from './api';

/** Hexagons without a fresh value. Never one of the ramp's colours, and never green. */
export const grey = '#434a53';

type Lab = [number, number, number];

const calmToBad = ['#1f418f', '#655fd0', '#ab57bd', '#e05a7a', '#fb9350', '#fdd64f', '#fff6b8'];
const coldToHot = ['#d4f7ff', '#6fc6ee', '#3577c0', '#343f7e', '#a2417f', '#ef6d55', '#fdd64f'];

/** One colour a class, for classes = breaks + 1, lowest values first. */
export function ramp(worse: Property['worse'], classes: number): string[] {
  if (worse === 'both') return spread(coldToHot, classes);
  // With few classes the very top of the ramp would look like a hole in the map: stay in its body.
  const body = classes <= 6 ? calmToBad.slice(0, 6) : calmToBad;
  const colours = spread(body, classes);
  return worse === 'low' ? colours.reverse() : colours;
}

/** Which class a value falls into: the number of breaks at or below it. */
export function classOf(value: number, breaks: readonly number[]): number {
  let i = 0;
  while (i < breaks.length && value >= breaks[i]) i++;
  return i;
}

function spread(anchors: string[], n: number): string[] {
  const labs = anchors.map((c) => toLab(c));
  if (n <= 1) return [anchors[Math.floor(anchors.length / 2)]];
  return Array.from({ length: n }, (_, i) => {
    const at = (i / (n - 1)) * (labs.length - 1);
    const k = Math.min(labs.length - 2, Math.floor(at));
    const f = at - k;
    return fromLab(labs[k].map((v, j) => v + (labs[k + 1][j] - v) * f) as Lab);
  });
}

// OKLab (Ottosson 2020): mixing in it keeps the steps of lightness even.

function toLab(hex: string): Lab {
  const [r, g, b] = [1, 3, 5].map((i) => linear(parseInt(hex.slice(i, i + 2), 16) / 255));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function fromLab([L, a, b]: Lab): string {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const rgb = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return '#' + rgb.map((v) => Math.round(255 * gamma(Math.min(1, Math.max(0, v)))).toString(16).padStart(2, '0')).join('');
}

function linear(v: number): number {
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
}

function gamma(v: number): number {
  return v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055;
}
