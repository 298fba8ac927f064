// The store behind legend and list: events in, counts out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const { Cells, cellOf, pointOf, badness } = await load('cells.ts');
const { places, placeAt, placeNear } = await load('geo.ts');
const { shortName, divisionName } = await load('districts.ts');

const high = { worse: 'high', breaks: [35, 75] };
const everywhere = [-180, -90, 180, 90];
const centres = { a: [1, 1], b: [2, 2], c: [3, 3], d: [50, 50] };
const centre = (id) => centres[id];
const rows = (list) => list.map((r) => [r[0], cellOf(r)]);

test('classes, grey, things and the newest are counted over what is in view', () => {
  const s = new Cells();
  s.apply(rows([['a', 5, 5, 20, 10, 30, 30, 100], ['b', 2, 1, 80, 80, 80, 80, 90], ['c', 3, 0, null, null, null, null, 40], ['d', 9, 9, 99, 99, 99, 99, 999]]), true);
  const got = s.summary(high, 'worst', [0, 0, 10, 10], centre);
  assert.deepEqual(got.classes, [1, 0, 1]);
  assert.deepEqual([got.grey, got.things, got.fresh, got.newest], [1, 10, 6, 100]);
  assert.deepEqual(got.worst.map((e) => e.id), ['b', 'a']);
});

test('a delta changes one cell, a first event replaces all, n = 0 removes', () => {
  const s = new Cells();
  s.apply(rows([['a', 1, 1, 1, 1, 1, 1, 1], ['b', 1, 1, 1, 1, 1, 1, 1]]), true);
  s.apply(rows([['b', 1, 1, 50, 50, 50, 50, 2]]), false);
  assert.deepEqual(s.summary(high, 'worst', everywhere, centre).classes, [1, 1, 0]);
  s.apply(rows([['a', 0, 0, null, null, null, null, null]]), false);
  assert.equal(s.rows.size, 1);
  s.apply(rows([['c', 1, 1, 1, 1, 1, 1, 1]]), true);
  assert.deepEqual([...s.rows.keys()], ['c']);
});

test('a cell no tile has shown yet is not counted: nobody could see it', () => {
  const s = new Cells();
  s.apply(rows([['zz', 1, 1, 1, 1, 1, 1, 1]]), true);
  assert.equal(s.summary(high, 'worst', everywhere, centre).things, 0);
});

test('mean and worst colour different classes', () => {
  const s = new Cells();
  s.apply(rows([['a', 3, 3, 30, 5, 90, 90, 1]]), true);
  assert.deepEqual(s.summary(high, 'worst', everywhere, centre).classes, [0, 0, 1]);
  assert.deepEqual(s.summary(high, 'mean', everywhere, centre).classes, [1, 0, 0]);
});

test('a Thing that is not fresh has no value', () => {
  assert.equal(pointOf(['o/n', 1, 2, 33, 5, 0]).worst, null);
  assert.equal(pointOf(['o/n', 1, 2, 33, 5, 1]).worst, 33);
});

test('badness: high, low, both ends', () => {
  assert.ok(badness(9, high) > badness(8, high));
  const low = { worse: 'low', breaks: [2, 5] };
  assert.ok(badness(1, low) > badness(8, low));
  const both = { worse: 'both', breaks: [6, 9] };
  assert.ok(badness(2, both) > badness(7, both) && badness(12, both) > badness(7, both));
});

test('divisions: the point for the name lies inside, also when the middle does not', () => {
  const horseshoe = [[0, 0], [10, 0], [10, 10], [8, 10], [8, 2], [2, 2], [2, 10], [0, 10], [0, 0]];
  const [p] = places({ features: [{ properties: { code: '500101', name: '万州区' }, geometry: { type: 'Polygon', coordinates: [horseshoe] } }] });
  assert.equal(placeAt([p], p.label), p);
  assert.equal(placeAt([p], [5, 6]), undefined);
  assert.equal(placeNear([p], [10.1, 9.9]), p);
  assert.equal(placeNear([p], [12, 12]), undefined);
});

test('names fit a map and both languages', () => {
  assert.equal(shortName('石柱土家族自治县'), '石柱');
  assert.equal(shortName('秀山土家族苗族自治县'), '秀山');
  assert.equal(shortName('渝北区'), '渝北');
  assert.equal(shortName('忠县'), '忠县');
  assert.equal(divisionName('500112', '渝北区', 'en'), 'Yubei');
  assert.equal(divisionName('999999', '某区', 'en'), '某区');
});
