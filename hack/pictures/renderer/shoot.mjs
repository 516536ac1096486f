// node shoot.mjs CHROMIUM BUNDLE ICONS JOBS: opens the page in headless Chromium and writes one picture for each job.
// JOBS is a JSON file: [{"input": file, "output": file, "time": Unix time in ms}]. Prints what went wrong; exits 1 then.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
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

async function shoot(browser, job) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, timezoneId: 'UTC', locale: 'en-GB' });
  page.setDefaultTimeout(DRAWN_MS);
  const problems = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !FONT.test(message.location().url)) {
      problems.push(message.text());
    }
  });
  const broken = new Promise((resolve) => {
    page.on('pageerror', (error) => {
      problems.push(String(error.stack ?? error));
      resolve();
    });
  });
  // Nothing leaves the machine: the page's few files are answered from here, everything else is refused.
  await page.route('**/*', async (route) => {
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
    const files = { '/page.js': join(bundle, 'page.js'), '/page.css': join(bundle, 'page.css'), '/input.json': job.input };
    if (files[pathname]) {
      return route.fulfill({ path: files[pathname] });
    }
    problems.push(`the page asks for ${pathname}, which is not there`);
    return route.abort();
  });
  await page.clock.setFixedTime(job.time);
  await page.goto(`${ORIGIN}/`);
  const dashboard = page.locator('#dashboard[data-drawn="true"]');
  try {
    await Promise.race([dashboard.waitFor(), broken]);
    if (problems.length === 0) {
      await page.waitForLoadState('networkidle');
      await dashboard.screenshot({ path: job.output, animations: 'disabled' });
    }
  } catch (error) {
    problems.push(String(error));
  }
  await page.close();
  return problems.map((problem) => `${job.output}: ${problem}`);
}

const browser = await chromium.launch({ executablePath, args: ARGUMENTS, timeout: DRAWN_MS });
const problems = [];
for (const job of JSON.parse(await readFile(jobs, 'utf8'))) {
  problems.push(...(await shoot(browser, job)));
}
await browser.close();
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exitCode = 1;
}
