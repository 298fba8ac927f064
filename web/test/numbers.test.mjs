// Units, numbers, ages and quality flags as a reader sees them.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { load } from './load.mjs';

const { unitText, decimals, number, count, result, isSwitch } = await load('units.ts');
const { ago, span, millis } = await load('age.ts');
const { flags, flagsOf } = await load('quality.ts');
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

test('UCUM becomes what people write', () => {
  const cases = { 'ug/m3': 'µg/m³', 'mg/L': 'mg/L', 'Cel': '°C', '[ppm]': 'ppm', '%': '%', '1': '', 'm3/s': 'm³/s', 'W/m2': 'W/m²', '{NTU}': 'NTU', '[pH]': 'pH', 'uS/cm': 'µS/cm', 'um/m': 'µm/m', 'm/s2': 'm/s²', '%{LEL}': '% LEL', '{veh}/h': 'veh/h', 'dB[SPL]': 'dB(A)', 'dB[mW]': 'dBm', 'kW.h': 'kW·h', 'uSv/h': 'µSv/h', 'm-1': 'm⁻¹', 'lx': 'lx', '%/m': '%/m' };
  for (const [ucum, text] of Object.entries(cases)) assert.equal(unitText(ucum), text, ucum);
});

test('no unit of the catalogue keeps its brackets', () => {
  const [head, ...lines] = readFileSync(join(root, 'schema', 'properties.csv'), 'utf8').trim().split('\n');
  const column = head.split(',').indexOf('unit');
  for (const line of lines) assert.doesNotMatch(unitText(line.split(',')[column]), /[[\]{}]/, line);
});

test('decimals follow the resolution', () => {
  assert.deepEqual([1, 0.1, 0.01, 0.001, 0.5, 10, 0].map(decimals), [0, 1, 2, 3, 1, 0, 0]);
  assert.equal(result(12.345, { resolution: 0.1 }), '12.3');
  assert.equal(result(null, { resolution: 0.1 }), '–');
  assert.equal(result(NaN, undefined), '–');
  assert.equal(result(0.12345, undefined), '0.1235');
});

test('numbers: thin spaces, a real minus, no minus zero', () => {
  assert.equal(number(1234567.8, 1), '1\u202f234\u202f567.8');
  assert.equal(number(1234, 0), '1234');
  assert.equal(number(-3.25, 1), '−3.3');
  assert.equal(number(-0.04, 1), '0.0');
  assert.equal(count(1_234_567), '1.23 M');
  assert.equal(count(2.5e9), '2.50 G');
  assert.equal(count(0.4), '0.4');
});

test('a switch is a switch only in the catalogue\'s sense', () => {
  assert.ok(isSwitch({ unit: '1', min: 0, max: 1, resolution: 1 }));
  assert.ok(!isSwitch({ unit: '1', min: -1, max: 1, resolution: 0.001 }));
  assert.ok(!isSwitch(undefined));
});

test('ages', () => {
  assert.equal(span(0.3, 'en'), '<1 s');
  assert.equal(span(59, 'en'), '59 s');
  assert.equal(span(600, 'en'), '10 min');
  assert.equal(span(7200, 'en'), '2 h');
  assert.equal(span(3 * 86400, 'zh'), '3 天');
  assert.equal(ago(-600, 'en'), 'clock 10 min ahead');
  assert.equal(ago(null, 'en'), 'never');
  assert.equal(millis('2025-10-09T08:53:20.000Z'), 1760000000000);
  assert.equal(millis(5), 5);
  assert.ok(Number.isNaN(millis(undefined)));
});

test('quality bits are those of pkg/sensor', () => {
  const go = readFileSync(join(root, 'pkg', 'sensor', 'quality.go'), 'utf8');
  const names = [...go.match(/qualityNames = [^{]*\{([^}]*)\}/)[1].matchAll(/"([a-z_]+)"/g)].map((m) => m[1]);
  assert.deepEqual([...flags], names);
  assert.deepEqual(flagsOf(0), []);
  assert.deepEqual(flagsOf('good'), []);
  assert.deepEqual(flagsOf(1 | 4), ['out_of_range', 'stuck']);
  assert.deepEqual(flagsOf('late|moving'), ['late', 'moving']);
  assert.deepEqual(flagsOf('later'), ['unknown']);
  assert.deepEqual(flagsOf(1 << 15), ['unknown']);
});
