// Checks the page of `run --dashboard` in a real browser: node live.mjs HARNESS [FOLDER for screenshots]
//
// While a run goes on and at its end: no request to elsewhere, no word on the console, nothing serious by axe-core, nothing
// wider than the screen, at two widths, light and dark; charts that grow; a zoom that stays; a lost connection that is said;
// what is shown at the end is report.html; with script forbidden it says what it needs and where the report will be.
// And a day of frames leaves less than 150 MB in the tab.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open, readThrough, withBrowser } from "./browser.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const MEMORY_MAX = 150e6;
const DAY = 86_400;
const [harness, shots] = process.argv.slice(2);
const failures = [];
const tell = (what) => process.stdout.write(`${what}\n`);
function expect(holds, what) {
  if (!holds) failures.push(what);
}

/** A run that is watched: its page's address, and its end. */
function start(out) {
  const scenario = ["scenarios/smoke.toml", "--set", "phase.steady.duration=25s", "--set", "fleet.clients=100"];
  const run = spawn(harness, ["run", ...scenario, "--dashboard", "--out-dir", out], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((end) => run.on("exit", end));
  const url = new Promise((found, failed) => {
    let said = "";
    run.stderr.setEncoding("utf8");
    run.stderr.on("data", (text) => {
      said += text;
      const address = said.match(/^dashboard: (\S+)$/m);
      if (address) found(address[1]);
    });
    ended.then((code) => failed(new Error(`the run ended with ${code}: ${said}`)));
  });
  return { url, ended };
}

async function axe(page, how) {
  await page.evaluate(() => document.querySelectorAll("details").forEach((it) => { it.open = true; }));
  // By the protocol: the page's own policy lets no other script in.
  await page.evaluate(readFileSync(AXE, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  for (const { id, impact, help, nodes } of violations) {
    const line = `${how}: axe ${impact}: ${id}: ${help} (${nodes.length}, such as ${nodes[0].html.slice(0, 120)})`;
    if (["serious", "critical"].includes(impact)) failures.push(line);
    else tell(line);
  }
  await page.evaluate(() => document.querySelectorAll("details").forEach((it) => { it.open = false; }));
}

async function looks(page, how, width, name) {
  await readThrough(page);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide <= width, `${how}: the page is ${wide} px wide`);
  const charts = await page.$$eval("#time-line [data-chart]", (all) => [all.length, all.filter((it) => it.querySelector("canvas")).length]);
  expect(charts[0] === charts[1] && charts[0] > 2, `${how}: ${charts[1]} of ${charts[0]} charts are live`);
  await axe(page, how);
  if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

const foreign = (asked, url) => asked.filter((it) => !it.startsWith(new URL(url).origin) && !it.startsWith("blob:"));

async function during(page, how, width, name) {
  await page.waitForFunction(() => document.querySelectorAll("#gates tr.objective").length > 0 && document.querySelector("#phases li:nth-child(2)[aria-current]"), { timeout: 60_000 });
  await looks(page, how, width, name);
  // A chart is drawn where it is looked at, and once there is something to draw.
  await page.evaluate(() => document.getElementById("latency").scrollIntoView());
  const drawn = page.waitForFunction(() => document.querySelectorAll("#latency [data-chart] canvas").length > 1, { timeout: 60_000 });
  expect(await drawn.then(() => true, () => false), `${how}: no latencies are drawn`);
  const seen = await page.evaluate(() => ({
    pictures: document.querySelectorAll("#gates tr.objective svg").length,
    words: [...document.querySelectorAll("#gates tr.objective strong")].map((it) => it.textContent),
    state: document.getElementById("state").textContent,
    button: document.getElementById("abort").disabled,
  }));
  expect(seen.pictures > 3, `${how}: ${seen.pictures} gates are drawn to scale`);
  expect(seen.words.every((word) => /holds|open|beyond/.test(word)), `${how}: a gate says ${seen.words.join(", ")}`);
  expect(/left/.test(seen.state), `${how}: it says ${seen.state}`);
  expect(!seen.button, `${how}: the button that ends the run cannot be pressed`);
}

/** A zoom stays while frames come, and what is shown grows. */
async function zooms(page) {
  await (await page.waitForSelector("#clients [data-chart]")).scrollIntoView();
  const box = await (await page.waitForSelector("#clients .u-over")).boundingBox();
  const hidden = () => page.$eval("#clients .tools button", (it) => it.hidden);
  expect(await hidden(), "live: everything is shown at first");
  await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 8 });
  await page.mouse.up();
  await new Promise((frames) => setTimeout(frames, 2500));
  expect(!(await hidden()), "live: a zoom does not stay while frames come");
  await page.click("#clients .tools button");
  expect(await hidden(), "live: Show all does not show all");
  await page.evaluate(() => scrollTo(0, 0));
}

/** The page is the report: heading, gates, figures and data are those of the file. */
async function atEnd(page, browser, file, how, width, name) {
  await page.waitForFunction(() => document.getElementById("report-data"), { timeout: 120_000 });
  await looks(page, how, width, name);
  const told = () => ({
    title: document.title,
    text: [...document.querySelectorAll("header, #gates, #rules, #faults, #figures, #provenance")].map((it) => it.textContent.replace(/\s+/g, " ")),
    data: document.getElementById("report-data").textContent,
    height: document.documentElement.scrollHeight,
    charts: [...document.querySelectorAll("[data-chart]")].map((it) => it.dataset.chart),
  });
  const { page: own } = await open(browser, `file://${file}`, { width });
  await readThrough(own);
  const [live, written] = [await page.evaluate(told), await own.evaluate(told)];
  await own.close();
  expect(JSON.stringify(live) === JSON.stringify(written), `${how}: what is shown at the end is not report.html`);
}

async function aRun(browser) {
  const out = mkdtempSync(join(tmpdir(), "khala-live-"));
  const { url, ended } = start(out);
  const at = await url;
  const all = [];
  for (const width of [1280, 400]) {
    for (const dark of [false, true]) {
      const opened = await open(browser, at, { width, dark });
      all.push({ ...opened, width, how: `${width} px, ${dark ? "dark" : "light"}`, name: `${width}-${dark ? "dark" : "light"}` });
    }
  }
  for (const { page, how, width, name } of all) {
    await page.bringToFront();
    await during(page, `live, ${how}`, width, `live-${name}`);
  }
  await all[0].page.bringToFront();
  await zooms(all[0].page);
  await withoutScript(browser, at);
  await ended;
  const file = join(out, "latest", "report.html");
  for (const { page, how, width, name, asked, said } of all) {
    await page.bringToFront();
    await atEnd(page, browser, file, `at the end, ${how}`, width, `end-${name}`);
    expect(foreign(asked, at).length === 0, `${how}: asked for ${foreign(asked, at).join(", ")}`);
    expect(said.length === 0, `${how}: said ${said.join("; ")}`);
    await page.close();
  }
  rmSync(out, { recursive: true });
  tell("a run is shown while it goes on, and then as its report");
}

async function withoutScript(browser, url) {
  const page = await browser.newPage();
  await page.setJavaScriptEnabled(false);
  await page.goto(url, { waitUntil: "load" });
  const text = await page.evaluate(() => document.body.innerText).catch(() => "");
  const body = text || (await page.$eval("body", (it) => it.textContent));
  expect(/needs script/.test(body) && /report\.html/.test(body), "without script it does not say what it needs");
  if (shots) await page.screenshot({ path: `${shots}/live-no-script.png` });
  await page.close();
}

/**
 * A day of frames, as a server made of a recorded one sends them, as fast as the tab takes them. At hundreds a second it
 * puts off tidying up, as it need not at one; so what a day leaves is what it holds once it has.
 */
async function aDay(browser) {
  const files = new Map();
  const out = mkdtempSync(join(tmpdir(), "khala-live-"));
  const { url, ended } = start(out);
  const at = new URL(await url);
  for (const path of ["/", "/report.css", "/live.css", "/report.js", "/live.js"]) {
    const answer = await fetch(new URL(path, at.origin));
    files.set(path, [answer.headers.get("content-type"), await answer.text()]);
  }
  const { history, frame } = await recorded(`${at.origin}/events?token=${at.hash.slice("#token=".length)}`);
  await ended;
  rmSync(out, { recursive: true });
  let sent = 0;
  let viewers = 0;
  const server = createServer(async (request, response) => {
    const path = request.url.split("?")[0];
    if (files.has(path)) {
      const [type, text] = files.get(path);
      response.setHeader("content-type", type);
      response.end(text);
      return;
    }
    viewers += 1;
    response.setHeader("content-type", "text/event-stream");
    response.write(`event: history\ndata: ${JSON.stringify(moved(history, sent))}\n\n`);
    let open = true;
    response.setMaxListeners(0);
    response.on("close", () => { open = false; });
    while (open && sent < DAY) {
      sent += 1;
      const now = { ...frame, elapsed_s: sent, planned_s: DAY, deliveries: sent * 1000, published: sent * 20, data: moved(frame.data, sent) };
      const more = response.write(`event: frame\ndata: ${JSON.stringify(now)}\n\n`);
      if (!more) {
        await new Promise((drained) => {
          response.once("drain", drained);
          response.once("close", drained);
        });
      }
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const { page, said } = await open(browser, `http://127.0.0.1:${server.address().port}/#token=x`);
  await readThrough(page);
  const began = Date.now();
  let flood = 0;
  while (sent < DAY && Date.now() - began < 20 * 60_000) {
    await new Promise((later) => setTimeout(later, 2000));
    flood = Math.max(flood, await memory(browser));
  }
  const session = await page.createCDPSession();
  await session.send("HeapProfiler.collectGarbage");
  await new Promise((later) => setTimeout(later, 1000));
  const left = await memory(browser);
  const shown = await page.$eval("#facts", (it) => it.textContent);
  expect(sent === DAY && /24 h 0 min of 24 h/.test(shown), `a day: ${sent} frames, and it shows ${shown}`);
  expect(left < MEMORY_MAX, `a day of frames leaves ${left} bytes in the tab`);
  expect(said.length === 0, `a day: said ${said.join("; ")}`);
  const mb = (bytes) => (bytes / 1e6).toFixed(1);
  tell(`a day of frames, the past asked for ${viewers} times: ${mb(left)} MB in the tab, and ${mb(flood)} MB while they came hundreds a second`);
  await page.close();
  server.close();
}

/** What the largest of the browser's tabs holds of the machine's memory: its process, with its part of what is shared. */
async function memory(browser) {
  const session = await browser.target().createCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const kib = (pid) => Number(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8").match(/^Pss: +(\d+)/m)[1]);
  return 1024 * Math.max(...processInfo.filter(({ type }) => type === "renderer").map(({ id }) => kib(id)));
}

/** The same data, some seconds later. */
function moved(data, end) {
  const last = data.seconds[data.seconds.length - 1];
  const seconds = data.seconds.map((second) => second - last + end).filter((second) => second >= 0);
  const gone = data.seconds.length - seconds.length;
  const charts = Object.fromEntries(Object.entries(data.charts).map(([id, chart]) => [id, { ...chart, lines: chart.lines.map((line) => ({ ...line, y: line.y.slice(gone) })) }]));
  return { ...data, seconds, charts };
}

/** The history and the fifteenth frame of a run. */
async function recorded(url) {
  const answer = await fetch(url);
  let text = "";
  const decoder = new TextDecoder();
  let frames = 0;
  let found = null;
  for await (const bytes of answer.body) {
    text += decoder.decode(bytes, { stream: true });
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = JSON.parse(event.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n") || "null");
      if (event.startsWith("event: history")) found = { history: data };
      if (event.startsWith("event: frame")) frames += 1;
      if (frames === 25) return { ...found, history: data.data, frame: data };
    }
  }
  throw new Error("the run ended too soon");
}

await withBrowser(async (browser) => {
  await aRun(browser);
  await aDay(browser);
});
for (const failure of failures) tell(`FAIL  ${failure}`);
process.exit(failures.length ? 1 : 0);
