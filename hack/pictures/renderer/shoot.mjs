// node shoot.mjs CHROMIUM BUNDLE ICONS JOBS: opens the page in headless Chromium and writes one picture for each job.
// JOBS is a JSON file: [{"input": file, "output": file, "time": Unix time in ms}]. Prints what went wrong; exits 1 then.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const [executablePath, bundle, icons, jobs] = process.argv.slice(2);
const ORIGIN = 'http://dashboards.invalid';
const PAGE = `<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<body style="margin: 0"><div id="root"></div><script src="page.js"></script>`;
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
// Grafana's own font is not in its packages: the browser takes the next of the list, Helvetica or Arial.
const FONT = /\/public\/fonts\//;
const DRAWN_MS = 120_000;
// Icons come after the panels that show them.
const QUIET_MS = 300;

// What the page is drawing, what went wrong meanwhile, and when it last asked for something.
let input, problems, broke, asked;

async function open(browser) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, timezoneId: 'UTC', locale: 'en-GB' });
  page.setDefaultTimeout(DRAWN_MS);
  page.on('console', (message) => {
    if (message.type() === 'error' && !FONT.test(message.location().url)) {
      problems.push(message.text());
    }
  });
  page.on('pageerror', (error) => {
    problems.push(String(error.stack ?? error));
    broke();
  });
  // Nothing leaves the machine: the page's few files are answered from here, everything else is refused.
  await page.route('**/*', async (route) => {
    asked = Date.now();
    const { origin, pathname } = new URL(route.request().url());
    const icon = pathname.match(/\/img\/icons\/(\w+\/[\w-]+\.svg)$/);
    if (origin !== ORIGIN) {
      problems.push(`the page asks for ${route.request().url()}`);
      return route.abort();
    }
    if (pathname === '/') {
      return route.fulfill({ contentType: 'text/html', body: PAGE });
    }
    if (FONT.test(pathname)) {
      return route.abort();
    }
    if (icon) {
      return route.fulfill({ contentType: 'image/svg+xml', body: await readFile(join(icons, icon[1])) });
    }
    const files = { '/page.js': join(bundle, 'page.js'), '/page.css': join(bundle, 'page.css'), '/input.json': input };
    if (files[pathname]) {
      return route.fulfill({ path: files[pathname] });
    }
    problems.push(`the page asks for ${pathname}, which is not there`);
    return route.abort();
  });
  return page;
}

async function shoot(page, job, number) {
  [input, problems] = [job.input, []];
  const broken = new Promise((resolve) => (broke = resolve));
  const dashboard = page.locator(`#dashboard[data-drawn="${number}"]`);
  try {
    await page.clock.setFixedTime(job.time);
    if (number === 1) {
      await page.goto(`${ORIGIN}/`);
    }
    await page.evaluate((which) => void window.draw(which), number);
    await Promise.race([dashboard.waitFor(), broken]);
    asked = Date.now();
    if (problems.length === 0) {
      while (Date.now() - asked < QUIET_MS) {
        await setTimeout(QUIET_MS / 10);
      }
      await dashboard.screenshot({ path: job.output, animations: 'disabled' });
    }
  } catch (error) {
    problems.push(String(error));
  }
  return problems.map((problem) => `${job.output}: ${problem}`);
}

const browser = await chromium.launch({ executablePath, args: ARGUMENTS, timeout: DRAWN_MS });
const page = await open(browser);
const said = [];
let number = 0;
for (const job of JSON.parse(await readFile(jobs, 'utf8'))) {
  said.push(...(await shoot(page, job, ++number)));
}
await browser.close();
if (said.length > 0) {
  console.error(said.join('\n'));
  process.exitCode = 1;
}
