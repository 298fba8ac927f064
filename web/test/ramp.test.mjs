// The ramp must be readable without colour sight: neighbours differ, "no fresh data" differs from every class, worse is
// brighter, and nothing is green. Colour vision deficiency by Machado, Oliveira and Fernandes (2009), severity 1.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const { ramp, classOf, grey } = await load('ramp.ts');

const sight = {
  full: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);

/** CIE Lab (D65) of a colour as seen with this sight. */
function lab(hex, kind) {
  const rgb = [1, 3, 5].map((i) => linear(parseInt(hex.slice(i, i + 2), 16) / 255));
  const [r, g, b] = sight[kind].map((row) => Math.min(1, Math.max(0, row.reduce((s, k, i) => s + k * rgb[i], 0))));
  const xyz = [(0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047, 0.2126 * r + 0.7152 * g + 0.0722 * b, (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883];
  const [x, y, z] = xyz.map((t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

const distance = (a, b, kind) => Math.hypot(...lab(a, kind).map((v, i) => v - lab(b, kind)[i]));

const cases = ['high', 'low', 'both'].flatMap((worse) => [2, 3, 4, 5, 6, 7].map((n) => ({ worse, n, colours: ramp(worse, n) })));

test('one colour a class, all different', () => {
  for (const { worse, n, colours } of cases) {
    assert.equal(colours.length, n);
    assert.equal(new Set(colours).size, n, `${worse} ${n}`);
    for (const c of colours) assert.match(c, /^#[0-9a-f]{6}$/);
  }
});

test('neighbouring classes can be told apart with any sight', () => {
  for (const { worse, n, colours } of cases)
    for (const kind of Object.keys(sight))
      for (let i = 1; i < n; i++) assert.ok(distance(colours[i - 1], colours[i], kind) > 10, `${worse} ${n} ${kind}: ${colours[i - 1]} ${colours[i]} ${distance(colours[i - 1], colours[i], kind).toFixed(1)}`);
});

test('both ends of a two-sided property can be told apart with any sight', () => {
  for (const n of [3, 5, 7]) {
    const c = ramp('both', n);
    for (const kind of Object.keys(sight)) assert.ok(distance(c[0], c[n - 1], kind) > 25, `${n} ${kind}`);
  }
});

test('no fresh data looks like no class', () => {
  for (const { worse, n, colours } of cases)
    for (const kind of Object.keys(sight)) for (const c of colours) assert.ok(distance(c, grey, kind) > 12, `${worse} ${n} ${kind}: ${c} ${distance(c, grey, kind).toFixed(1)}`);
});

test('worse is brighter', () => {
  const light = (c) => lab(c, 'full')[0];
  for (const n of [2, 3, 4, 5, 6, 7]) {
    const high = ramp('high', n).map(light);
    for (let i = 1; i < n; i++) assert.ok(high[i] > high[i - 1], `high ${n}`);
    assert.deepEqual(ramp('low', n), ramp('high', n).reverse());
  }
});

test('grey is grey, and no class is green', () => {
  const [, a, b] = lab(grey, 'full');
  assert.ok(Math.hypot(a, b) < 8);
  for (const { colours } of cases) for (const c of colours) assert.ok(!(lab(c, 'full')[1] < -20), c);
});

test('a value on a threshold belongs to the class above it', () => {
  const breaks = [35, 75, 115];
  assert.deepEqual([-1, 34.9, 35, 74, 75, 115, 1e9].map((v) => classOf(v, breaks)), [0, 0, 1, 1, 2, 3, 3]);
  assert.equal(classOf(5, []), 0);
});
