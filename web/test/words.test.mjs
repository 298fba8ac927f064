// No sentence may be missing in a language, unused, or lose one of its holes in translation.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { load } from './load.mjs';

const src = join(dirname(fileURLToPath(import.meta.url)), '..', 'src');
const { words, say, chooseLang } = await load('words.ts');
const { flags } = await load('quality.ts');

const files = readdirSync(src, { recursive: true })
  .filter((f) => /\.(ts|svelte)$/.test(f) && !f.endsWith('words.ts'))
  .map((f) => readFileSync(join(src, f), 'utf8'));

// What the code asks for: quoted keys, and families made from data (`sector.${x}`, word('sector', x)).
const quoted = new Set(files.flatMap((f) => [...f.matchAll(/['"`]([a-z]+(?:\.[a-z0-9_-]+)*)['"`]/g)].map((m) => m[1])));
const families = new Set(files.flatMap((f) => [...f.matchAll(/`([a-z.]+)\.\$\{|word\('([a-z]+)'/g)].map((m) => m[1] ?? m[2])));

/** Keys of one language against what the code asks for and the other language has. */
function faults(dictionary, other) {
  const out = [];
  for (const key of Object.keys(other)) if (!(key in dictionary)) out.push(`missing: ${key}`);
  for (const [key, text] of Object.entries(dictionary)) {
    if (!text.trim()) out.push(`empty: ${key}`);
    const family = key.slice(0, key.lastIndexOf('.'));
    if (!quoted.has(key) && !families.has(family)) out.push(`unused: ${key}`);
  }
  for (const f of files) {
    for (const [, key] of f.matchAll(/\b(?:page\.)?t\('([^']+)'/g)) if (!(key in dictionary)) out.push(`asked for, not there: ${key}`);
  }
  return out;
}

test('every key is in both languages, used, and not empty', () => {
  assert.deepEqual(faults(words.zh, words.en), []);
  assert.deepEqual(faults(words.en, words.zh), []);
});

test('a missing key is found', () => {
  const { 'link.lost': _, ...rest } = words.en;
  assert.deepEqual(faults(rest, words.zh), ['missing: link.lost', 'asked for, not there: link.lost']);
  const { 'cell.mean': _gone, ...both } = words.zh;
  assert.ok(faults(both, both).includes('asked for, not there: cell.mean'));
  assert.ok(faults({ ...words.en, 'nobody.asks': 'x' }, words.zh).includes('unused: nobody.asks'));
});

test('holes are the same in both languages', () => {
  const holes = (s) => (s.match(/\{\w+\}/g) ?? []).sort().join();
  for (const key of Object.keys(words.zh)) assert.equal(holes(words.en[key]), holes(words.zh[key]), key);
});

test('every quality flag, owner class, grade and statistic has words', () => {
  const wanted = [...flags.map((f) => `quality.${f}`), ...['government', 'social', 'enterprise', 'unknown'].map((c) => `class.${c}`), ...['open', 'conditional', 'restricted'].map((g) => `grade.${g}`)];
  for (const s of ['instant', 'avg', 'min', 'max', 'sum', 'count', 'zs-instant', 'zs-avg', 'zs-min', 'zs-max']) wanted.push(`statistic.${s}`);
  for (const key of wanted) assert.ok(key in words.zh, key);
});

test('every sector of the catalogue has words', () => {
  const csv = join(src, '..', '..', 'schema', 'properties.csv');
  const [head, ...lines] = readFileSync(csv, 'utf8').trim().split('\n');
  const column = head.split(',').indexOf('sector');
  for (const line of lines) assert.ok(`sector.${line.split(',')[column]}` in words.zh, line);
});

test('a sentence is filled, and an unfilled hole stays visible', () => {
  assert.equal(say('en', 'age.min', { n: 3 }), '3 min');
  assert.equal(say('en', 'age.min'), '{n} min');
});

test('language: asked, then the browser, then Chinese', () => {
  assert.equal(chooseLang('en', ['zh-CN']), 'en');
  assert.equal(chooseLang('xx', ['en-GB']), 'en');
  assert.equal(chooseLang(null, ['fr', 'en-US', 'zh']), 'en');
  assert.equal(chooseLang(null, ['zh-TW', 'en']), 'zh');
  assert.equal(chooseLang(null, ['fr', 'de']), 'zh');
  assert.equal(chooseLang(null, []), 'zh');
});
