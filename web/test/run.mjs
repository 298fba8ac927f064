// `npm test`: what needs no browser always, the page itself where Chromium is. Says what was not run and why.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findChromium } from './browser.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const web = join(here, '..');
const bin = (name) => join(web, 'node_modules', '.bin', name);

function run(what, command, args) {
  const { status, error } = spawnSync(command, args, { cwd: web, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`${what}: ${error ? error.message : `exit code ${status}`}`);
  process.exit(1);
}

/** Is there a build, and is it newer than everything it is made of? */
function built() {
  const index = join(web, 'dist', 'index.html');
  if (!existsSync(index)) return false;
  const sources = ['src', 'public'].flatMap((d) => readdirSync(join(web, d), { recursive: true }).map((f) => join(web, d, f)));
  const newest = Math.max(...[...sources, join(web, 'index.html'), join(web, 'vite.config.ts')].map((f) => statSync(f).mtimeMs));
  return statSync(index).mtimeMs >= newest;
}

const all = readdirSync(here).filter((f) => f.endsWith('.test.mjs'));
const page = all.filter((f) => f.startsWith('page'));
const plain = all.filter((f) => !f.startsWith('page'));

run('types', bin('svelte-check'), ['--tsconfig', './tsconfig.json', '--fail-on-warnings', '--output', 'human']);
run('unit tests', process.execPath, ['--test', ...plain.map((f) => join('test', f))]);

const chromium = findChromium();
if (!chromium) {
  console.log(`skipped: ${page.join(', ')}: no Chromium (looked at $CHROMIUM, /usr/bin/chromium, ...; Debian: apt install chromium)`);
} else {
  if (!built()) run('build', bin('vite'), ['build', '--logLevel', 'warn']);
  run('page tests', process.execPath, ['--test', '--test-concurrency=1', ...page.map((f) => join('test', f))]);
}
