// Where a Chromium is, and a page in it that notes everything a test may want to hold against it.

import { existsSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { chromium } from 'playwright-core';

export function findChromium() {
  const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];
  return places.find((p) => p && existsSync(p));
}

/** WebGL without a graphics card: SwiftShader. */
export function launch() {
  return chromium.launch({ executablePath: findChromium(), args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'] });
}

/** Opens path of the server; the returned notes grow while the page lives. */
export async function open(browser, server, path = '/', { locale = 'zh-CN', size = { width: 1280, height: 800 } } = {}) {
  const context = await browser.newContext({ viewport: size, locale, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const notes = { requests: [], console: [] };
  page.on('request', (r) => notes.requests.push(r.url()));
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && notes.console.push(m.text()));
  page.on('pageerror', (e) => notes.console.push(`uncaught: ${e.message}`));
  await page.goto(server.url + path);
  return { page, notes, close: () => context.close() };
}

/** A picture of the page as (x, y) -> [r, g, b]: asks the screen, not the program. */
export async function look(page) {
  return decode(await page.screenshot({ timeout: 60_000 }));
}

/** Just enough PNG for what Chromium writes: 8 bits, RGB or RGBA, not interlaced. */
function decode(png) {
  const width = png.readUInt32BE(16);
  const channels = png[25] === 6 ? 4 : 3;
  const data = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') data.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  const raw = inflateSync(Buffer.concat(data));
  const stride = width * channels;
  const out = Buffer.alloc((raw.length / (stride + 1)) * stride);
  for (let y = 0, i = 0; i < raw.length; y++) {
    const filter = raw[i++];
    for (let x = 0; x < stride; x++, i++) {
      const left = x >= channels ? out[y * stride + x - channels] : 0;
      const up = y ? out[(y - 1) * stride + x] : 0;
      const corner = y && x >= channels ? out[(y - 1) * stride + x - channels] : 0;
      out[y * stride + x] = raw[i] + [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
    }
  }
  return (x, y) => [...out.subarray(Math.round(y) * stride + Math.round(x) * channels).subarray(0, 3)];
}

function paeth(a, b, c) {
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/** Where on the page a position lies. The camera is in the address: #z/lat/lon of the map's middle. */
export async function project(page, [lon, lat]) {
  const { hash, width, height, scale } = await page.evaluate(() => {
    const box = document.querySelector('.map');
    return { hash: location.hash, width: box.clientWidth, height: box.clientHeight, scale: box.getBoundingClientRect().width / box.offsetWidth };
  });
  const [z, lat0, lon0] = hash.slice(1).split('/').map(Number);
  const world = 512 * 2 ** z;
  const x = (l) => (world * (l + 180)) / 360;
  const y = (l) => world * (0.5 - Math.log(Math.tan(Math.PI / 4 + (l * Math.PI) / 360)) / (2 * Math.PI));
  return [(width / 2 + x(lon) - x(lon0)) * scale, (height / 2 + y(lat) - y(lat0)) * scale];
}
