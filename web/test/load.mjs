// The page's TypeScript modules for tests without a browser, through the same compiler that builds the page.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const lib = join(dirname(fileURLToPath(import.meta.url)), '..', 'src', 'lib');

export async function load(name) {
  const { module } = await runnerImport(join(lib, name), { configFile: false, logLevel: 'error' });
  return module;
}
