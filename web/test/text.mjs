// `node web/test/text.mjs URL SELECTOR`: opens a page of a running situ in Chromium and prints the text of the first
// element that fits, once there is one. Exit code 3: there is no Chromium. cmd/situ's tests use it.

import { findChromium, launch, open } from './browser.mjs';

const [url, selector] = process.argv.slice(2);
if (!findChromium()) process.exit(3);
const browser = await launch();
try {
  const { page } = await open(browser, { url }, '/?lang=en');
  console.log(await page.textContent(selector, { timeout: 60_000 }));
} finally {
  await browser.close();
}
