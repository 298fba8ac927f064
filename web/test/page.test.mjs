// The page in a real Chromium over the fixture server: what an officer sees and does.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, look, open, project } from './browser.mjs';
import { centre, properties } from './city.mjs';
import { load } from './load.mjs';
import { start } from './server.mjs';

const { ramp, classOf, grey } = await load('ramp.ts');
const pm = properties.find((p) => p.code === 'pm2_5');
const colours = ramp(pm.worse, pm.breaks.length + 1);
const patience = { timeout: 60_000 };

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** One test over its own server and page; whatever happens both end, and a quiet console is part of every pass. */
function journey(name, { server = {}, path = '/?lang=en', noisy = false, ...view }, act) {
  test(name, { timeout: 180_000 }, async () => {
    const s = await start({ live: false, things: 500, ...server });
    try {
      const o = await open(browser, s, path, { size: { width: 1100, height: 760 }, ...view });
      try {
        await act(o.page, s, o.notes);
        const foreign = o.notes.requests.filter((u) => !u.startsWith(s.url + '/') && !u.startsWith('blob:' + s.url) && !u.startsWith('data:'));
        assert.deepEqual(foreign, [], 'a request left the origin');
        if (!noisy) assert.deepEqual(o.notes.console, [], 'the console is not quiet');
      } finally {
        await o.close();
      }
    } finally {
      await s.close();
    }
  });
}

const shown = (page) => page.waitForSelector('[data-worst] li', patience);

/** What the screen shows of a colour drawn with .86 over the land. */
function painted(hex, opacity = 0.86) {
  const land = [0x11, 0x18, 0x24];
  return [1, 3, 5].map((i, k) => parseInt(hex.slice(i, i + 2), 16) * opacity + land[k] * (1 - opacity));
}

const near = (a, b, limit = 26) => Math.hypot(...a.map((v, i) => v - b[i])) < limit;

/** Looks until the picture is as wanted, or says what was last seen. */
async function until(what, test, tries = 60) {
  for (let i = 0; ; i++) {
    const seen = await test();
    if (seen === true) return;
    if (i === tries) assert.fail(`${what}: ${JSON.stringify(seen)}`);
    await new Promise((done) => setTimeout(done, 250));
  }
}

/** Cells of the first view with fresh data and nothing of the page over them. */
async function cellsInSight(page, s) {
  const boxes = await page.$$eval('.panel, header', (all) => all.map((e) => e.getBoundingClientRect().toJSON()));
  const out = [];
  for (const [id, c] of s.cells('pm2_5', 5)) {
    const [x, y] = await project(page, centre(id));
    const covered = boxes.some((b) => x > b.left - 5 && x < b.right + 5 && y > b.top - 5 && y < b.bottom + 5);
    if (!covered && x > 0 && y > 0 && x < 1095 && y < 755) out.push({ id, x, y, c });
  }
  return out;
}

/** One whose middle no name and no border covers: the screen already shows its colour. */
async function plainCell(page, s, fits = () => true) {
  const picture = await look(page);
  const cell = (await cellsInSight(page, s)).find((k) => k.c.fresh && 2 * k.c.fresh >= k.c.n && fits(k) && near(picture(k.x, k.y), painted(colours[classOf(k.c.worst, pm.breaks)])));
  assert.ok(cell, 'no plain cell in sight');
  return cell;
}

journey('first paint shows hexagons in the colours of their classes', { path: '/' }, async (page, s) => {
  await shown(page);
  await until('most cells have their colour', async () => {
    const picture = await look(page);
    const cells = (await cellsInSight(page, s)).filter((k) => k.c.fresh && 2 * k.c.fresh >= k.c.n);
    const right = cells.filter((k) => near(picture(k.x, k.y), painted(colours[classOf(k.c.worst, pm.breaks)])));
    return right.length >= 0.6 * cells.length && cells.length > 60 ? true : `${right.length} of ${cells.length}`;
  });
  const greys = (await cellsInSight(page, s)).filter((k) => !k.c.fresh);
  assert.ok(greys.length > 0, 'the city has silent cells');
  const picture = await look(page);
  assert.ok(greys.some((k) => near(picture(k.x, k.y), painted(grey, 0.9))), 'silent cells are grey');
  assert.match(await page.textContent('[data-legend]'), /µg\/m³/);
  const first = new Date();
  assert.ok((await page.textContent('[data-worst] li')).match(/µg\/m³.*前|前/s), `age missing at ${first}`);
});

journey('a delta recolours its cell without fetching a tile', {}, async (page, s, notes) => {
  await shown(page);
  await page.waitForTimeout(1500);
  const k = await plainCell(page, s, (c) => c.c.worst < 115);
  const tiles = () => notes.requests.filter((u) => u.includes('.mvt')).length;
  const beforehand = tiles();
  s.push('pm2_5', [[k.id, 3, 3, 300, 280, 320, 320, Math.floor(Date.now() / 1000)]]);
  await until('the worst colour', async () => {
    const seen = (await look(page))(k.x, k.y);
    return near(seen, painted(colours.at(-1))) ? true : seen;
  });
  s.push('pm2_5', [[k.id, 3, 0, null, null, null, null, Math.floor(Date.now() / 1000) - 9000]]);
  await until('grey when nothing is fresh', async () => {
    const seen = (await look(page))(k.x, k.y);
    return near(seen, painted(grey, 0.9)) ? true : seen;
  });
  assert.equal(tiles(), beforehand);
});

journey('a cell the tiles do not have yet appears', { path: '/?lang=en#8.2/29.55/106.6' }, async (page, s, notes) => {
  await shown(page);
  const { latLngToCell } = await import('h3-js');
  await page.waitForTimeout(1000);
  const there = s.cells('pm2_5', 6);
  const spots = [];
  for (let y = 200; y < 700; y += 20) for (let x = 320; x < 660; x += 20) spots.push([x, y]);
  let x, y, id;
  for ([x, y] of spots) {
    const at = await unproject(page, x, y);
    id = latLngToCell(at[1], at[0], 6);
    if (!there.has(id)) break;
  }
  assert.ok(!there.has(id), 'an empty spot');
  [x, y] = await project(page, centre(id));
  const rows = [[id, 1, 1, 300, 300, 300, 300, Math.floor(Date.now() / 1000)]];
  const extra = { n: 1, fresh: 1, sum: 300, min: 300, max: 300, mean: 300, worst: 300, newest: rows[0][7] };
  const asked = notes.requests.length;
  s.state.extra.set(id, extra);
  s.push('pm2_5', rows);
  await until('the new cell', async () => {
    const seen = (await look(page))(x, y);
    return near(seen, painted(colours.at(-1))) ? true : seen;
  });
  assert.ok(notes.requests.slice(asked).some((u) => /\.mvt\?v=\d+/.test(u)), 'tiles were fetched again');
});

journey('a city that moves repaints, and the header counts', { server: { live: true } }, async (page) => {
  await shown(page);
  const first = await page.textContent('[data-observations]');
  await until('the count grows', async () => ((await page.textContent('[data-observations]')) !== first ? true : first));
});

test('language by browser, address and button', { timeout: 120_000 }, async () => {
  const s = await start({ live: false, things: 200 });
  try {
    const cases = [['fr-FR', '/', '当前最差'], ['en-GB', '/', 'Worst now'], ['en-GB', '/?lang=zh', '当前最差']];
    for (const [locale, path, word] of cases) {
      const o = await open(browser, s, path, { locale });
      await shown(o.page);
      assert.ok((await o.page.textContent('[data-worst]')).includes(word), `${locale} ${path}`);
      await o.close();
    }
    const o = await open(browser, s, '/', { locale: 'zh-CN' });
    await shown(o.page);
    await o.page.click('[data-lang]');
    await o.page.waitForSelector('[data-worst] >> text=Worst now');
    assert.match(o.page.url(), /lang=en/);
    assert.equal(await o.page.getAttribute('html', 'lang'), 'en');
    assert.doesNotMatch(await o.page.textContent('header'), /\p{Script=Han}{3}/u);
    await o.close();
  } finally {
    await s.close();
  }
});

journey('cell, Thing, chart, and the address brings it all back', {}, async (page, s) => {
  await shown(page);
  await page.waitForTimeout(1500);
  const k = await plainCell(page, s, (c) => c.c.n >= 2);
  await page.mouse.click(k.x, k.y);
  await page.waitForSelector(`[data-cell-panel="${k.id}"]`, patience);
  const value = (await page.textContent('[data-worst-value]')).replace(' ', ' ');
  assert.ok(value.startsWith(k.c.worst.toFixed(1)) && value.endsWith('µg/m³'), value);
  const things = page.locator('[data-cell-panel] [data-thing]');
  assert.equal(await things.count(), s.city.inCell(k.id).filter((t) => t.kit.includes('pm2_5')).length);
  assert.match(await things.first().textContent(), /(government|social|enterprise) · (open|conditional|restricted).*ago/s);
  await things.first().click();
  await page.waitForSelector('[data-thing-panel]:not([data-thing-panel=""]) .uplot canvas', patience);
  const points = Number(await page.getAttribute('[data-chart]', 'data-chart'));
  assert.ok(points > 200, `${points} observations in six hours of minutes`);
  assert.match(page.url(), /set=pm2_5.*cell=85.*thing=.*#\d/);
  const thing = await page.getAttribute('[data-thing-panel]', 'data-thing-panel');
  await page.reload();
  await page.waitForSelector(`[data-thing-panel="${thing}"] .uplot canvas`, patience);
  await page.click('[data-back]');
  await page.waitForSelector(`[data-cell-panel="${k.id}"]`, patience);
  await page.keyboard.press('Escape');
  await shown(page);
  assert.doesNotMatch(page.url(), /cell=|thing=/);
});

journey('doubtful results are marked and said in words', { server: { things: 700 } }, async (page, s) => {
  const t = s.city.things.find((x) => x.faulty && x.kit.includes('pm2_5'));
  await page.goto(`${s.url}/?lang=en&thing=${t.id}`);
  await page.waitForSelector('.uplot canvas', patience);
  const caption = await page.textContent('figcaption');
  assert.ok(Number(caption.match(/(\d+) with quality flags/)[1]) > 0, caption);
});

journey('a link that breaks is told within 5 s, heals alone and resumes', { noisy: true }, async (page, s) => {
  await shown(page);
  const began = Date.now();
  s.cut();
  await page.waitForSelector('[data-banner="link"]', { timeout: 5000 });
  assert.ok(Date.now() - began < 5000);
  assert.match(await page.textContent('[data-banner="link"]'), /Shown as of \d\d:\d\d:\d\d \(.+ ago\)/);
  assert.equal(await page.getAttribute('[data-link]', 'data-link'), 'lost');
  s.heal();
  await page.waitForSelector('[data-link="live"]', { timeout: 15_000 });
  await page.waitForSelector('[data-banner="link"]', { state: 'detached' });
  assert.ok(s.state.requests.some((r) => r.path.startsWith('/live') && r.lastEventId), 'resumed with Last-Event-ID');
});

journey('a link that falls silent is told within 5 s and heals alone', { noisy: true }, async (page, s) => {
  await shown(page);
  s.mute();
  await page.waitForSelector('[data-banner="link"]', { timeout: 5000 });
  s.heal();
  await page.waitForSelector('[data-link="live"]', { timeout: 20_000 });
});

journey('an address that is not there, and a history that is off, are said in words', { server: { history: 'off', banner: 'history is off' }, path: '/?lang=en&thing=nobody/none', noisy: true }, async (page, s) => {
  await page.waitForSelector('.rail [role="alert"]', patience);
  assert.match(await page.textContent('.rail [role="alert"]'), /Not found: nobody\/none/);
  assert.equal(await page.textContent('[data-banner="server"]'), 'history is off');
  const t = s.city.things.find((x) => x.placed && x.kit.includes('pm2_5'));
  await page.goto(`${s.url}/?lang=en&thing=${t.id}`);
  await page.waitForSelector('figure [role="alert"]', patience);
  assert.match(await page.textContent('figure [role="alert"]'), /History is switched off/);
});

journey('things without place are listed, paged and opened', { server: { things: 7000 } }, async (page, s) => {
  await shown(page);
  await page.click('[data-placeless]');
  await page.waitForSelector('[data-placeless-panel="100"]', patience);
  await page.click('text=Show more');
  const all = s.city.things.filter((t) => !t.placed).length;
  await page.waitForSelector(`[data-placeless-panel="${all}"]`, patience);
  await page.locator('[data-placeless-panel] [data-thing]').first().click();
  await page.waitForSelector('[data-thing-panel]:not([data-thing-panel=""])', patience);
  assert.match(await page.textContent('[data-thing-panel]'), /without place/);
});

journey('search flies to a division, a cell and a Thing, by keyboard alone', {}, async (page, s) => {
  await shown(page);
  const ask = async (text) => {
    await page.keyboard.press('/');
    await page.keyboard.type(text);
    await page.waitForSelector('#search-hits li', patience);
    await page.keyboard.press('Enter');
    await page.waitForTimeout(400);
  };
  const lonOf = () => Number(new URL(page.url()).hash.split('/')[2]);
  await ask('fuling');
  await until('Fuling', async () => (Math.abs(lonOf() - 107.3) < 0.6 ? true : page.url()));
  const t = s.city.things.find((x) => x.placed && x.kit.includes('pm2_5'));
  const { cellToParent } = await import('h3-js');
  const cell = cellToParent(t.cell, 7);
  await ask(cell);
  await page.waitForSelector(`[data-cell-panel="${cell}"]`, patience);
  await page.keyboard.press('Escape');
  await ask(t.id);
  await page.waitForSelector(`[data-thing-panel="${t.id}"]`, patience);
  await until('close to the Thing', async () => (Number(new URL(page.url()).hash.slice(1).split('/')[0]) > 15 ? true : page.url()));
});

journey('close up there are single Things', {}, async (page, s) => {
  const t = s.city.things.find((x) => x.placed && !x.silent && x.kit.includes('pm2_5'));
  await page.goto('about:blank');
  await page.goto(`${s.url}/?lang=en#16/${t.lat}/${t.lon}`);
  await shown(page);
  const [x, y] = [550, 380];
  await until('its dot in a class colour', async () => {
    const seen = (await look(page))(x, y);
    return colours.some((c) => near(seen, painted(c, 1))) ? true : seen;
  });
  await page.mouse.click(x, y);
  await page.waitForSelector(`[data-thing-panel="${t.id}"]`, patience);
});

journey('the map is picked with the keyboard', {}, async (page, s) => {
  const id = [...s.cells('pm2_5', 5).keys()][20];
  const [lon, lat] = centre(id);
  await page.goto('about:blank');
  await page.goto(`${s.url}/?lang=en#7.2/${lat}/${lon}`);
  await shown(page);
  await page.waitForTimeout(1000);
  await page.focus('.maplibregl-canvas');
  await page.keyboard.press('Enter');
  await page.waitForSelector(`[data-cell-panel="${id}"]`, patience);
});

journey('the property switch offers what has data first, and switches', {}, async (page) => {
  await shown(page);
  await page.click('[data-picker]');
  const order = await page.$$eval('[data-property]', (all) => all.map((b) => b.dataset.property));
  assert.equal(order.at(-1), 'radon', 'no data: last');
  await page.keyboard.type('oxyg');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForSelector('[data-legend] >> text=lower is worse', patience);
  await page.waitForSelector('[data-worst] >> text=mg/L', patience);
  assert.match(page.url(), /set=dissolved_oxygen/);
});

journey('before the first reading the page says how to send one', { server: { empty: true } }, async (page) => {
  await page.waitForSelector('text=No readings yet', patience);
  assert.match(await page.textContent('.empty'), /situ\/v1\/\{owner\}\/\{thing\}\/json/);
});

/** The position under a point of the page: the inverse of browser.mjs: project, by trial. */
async function unproject(page, x, y) {
  const [, lat, lon] = (await page.evaluate(() => location.hash.slice(1))).split('/').map(Number);
  let at = [lon, lat];
  for (let i = 0; i < 30; i++) {
    const [px, py] = await project(page, at);
    const [qx, qy] = await project(page, [at[0] + 0.001, at[1] + 0.001]);
    at = [at[0] + (0.001 * (x - px)) / (qx - px), at[1] + (0.001 * (y - py)) / (qy - py)];
  }
  return at;
}

journey('the balance says that nothing is missing, in both languages', {}, async (page) => {
  await shown(page);
  await page.waitForSelector('[data-balance="even"]', patience);
  await page.click('[data-balance]');
  await page.waitForSelector('[data-balance-panel="even"]', patience);
  const text = await page.textContent('[data-balance-panel]');
  assert.match(text, /Acknowledged messages/);
  assert.equal(await page.textContent('[data-line="balance.missing"]'), '0');
  assert.match(text, /median 9 ms, 99 % within 41 ms/);
  assert.match(text, /median 612 ms, 99 % within 1\.3 s/);
  assert.match(text, /none lost, none doubled/);
  assert.match(text, /Closed until\s*\d\d:\d\d:\d\d/);
  assert.equal(await page.$('[data-balance-alarm]'), null);
  assert.equal((await page.$$('[data-canary]')).length, 2);
  await page.click('[data-lang]');
  const zh = await page.textContent('[data-balance-panel]');
  assert.match(zh, /已确认消息/);
  assert.doesNotMatch(zh.replace(/gw-\w+|SQL|ms|\d+(\.\d+)? s/g, ''), /[a-z]{4,}/i, 'a word is left in English');
  await page.keyboard.press('Escape');
  await page.waitForSelector('[data-balance-panel]', { state: 'detached' });
});

journey('a message that is missing is red, and the page says what to do', { server: { lost: 3 }, size: { width: 1440, height: 900 } }, async (page) => {
  await shown(page);
  await page.waitForSelector('[data-balance="wrong"]', patience);
  assert.match(await page.textContent('[data-balance]'), /Off by 10/); // 3 messages, 6 rows, 1 canary
  await page.click('[data-balance]');
  assert.match(await page.textContent('[data-balance-alarm]'), /situ balance --hour/);
  const colour = await page.$eval('[data-line="balance.missing"]', (e) => getComputedStyle(e).color);
  assert.equal(colour, 'rgb(255, 107, 107)');
  assert.match(await page.textContent('[data-canary="gw-south"]'), /1 lost/);
  const lang = await page.$eval('[data-lang]', (e) => e.getBoundingClientRect().right);
  assert.ok(lang <= 1440, `the language button ends at ${lang}`);
});

journey('without history there is no balance, and the page says so', { server: { history: 'off' } }, async (page) => {
  await shown(page);
  await page.click('[data-balance="unknown"]');
  assert.match(await page.textContent('[data-balance-panel="unknown"]'), /History is off/);
  assert.match(await page.textContent('[data-canary="gw-north"]'), /median 9 ms/);
});
