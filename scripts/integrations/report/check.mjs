// Checks a run's report.html in a real browser: node check.mjs REPORT.html [FOLDER for screenshots]
//
// No request, no word on the console, nothing serious by axe-core, nothing wider than the screen, at two widths, light
// and dark; a zoom, a line that is hidden, the keyboard; verdict and gates on the first page of A4; and, served as CI
// systems serve artefacts, with script and style forbidden, everything that was said.
import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { open, readThrough, withBrowser } from "./browser.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const [file, shots] = process.argv.slice(2);
const url = pathToFileURL(resolve(file)).href;
const failures = [];
const tell = (what) => process.stdout.write(`${what}\n`);
function expect(holds, what) {
  if (!holds) failures.push(what);
}

async function looks(browser, width, dark) {
  const how = `${width} px, ${dark ? "dark" : "light"}`;
  const { page, asked, said } = await open(browser, url, { width, dark });
  await readThrough(page);
  const paints = await page.evaluate(() => performance.getEntriesByType("paint").map((it) => [it.name, Math.round(it.startTime)]));
  const seen = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    proofs: Math.min(...[...document.querySelectorAll("#faults tbody td:last-child")].map((it) => it.getBoundingClientRect().width)),
    charts: document.querySelectorAll("[data-chart]").length,
    live: document.querySelectorAll("[data-chart].live canvas").length,
  }));
  expect(seen.wide <= width, `${how}: the page is ${seen.wide} px wide`);
  expect(seen.proofs > 200, `${how}: the proof of a fault has a column of ${Math.round(seen.proofs)} px`);
  expect(seen.live === seen.charts && seen.charts > 3, `${how}: ${seen.live} of ${seen.charts} charts are live`);
  await page.evaluate(() => document.querySelectorAll("details").forEach((it) => { it.open = true; }));
  await page.addScriptTag({ content: readFileSync(AXE, "utf8") });
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  for (const { id, impact, help, nodes } of violations) {
    const bad = ["serious", "critical"].includes(impact);
    const line = `${how}: axe ${impact}: ${id}: ${help} (${nodes.length}, such as ${nodes[0].html.slice(0, 120)})`;
    if (bad) failures.push(line);
    else tell(line);
  }
  await page.evaluate(() => document.querySelectorAll("details").forEach((it) => { it.open = false; }));
  if (shots) await page.screenshot({ path: `${shots}/${width}-${dark ? "dark" : "light"}.png`, fullPage: true });
  expect(asked.length === 0, `${how}: asked for ${asked.join(", ")}`);
  expect(said.length === 0, `${how}: said ${said.join("; ")}`);
  await page.close();
  tell(`${how}: ${seen.charts} charts; ${paints.map(([name, at]) => `${name} after ${at} ms`).join(", ")}`);
}

async function acts(browser) {
  const { page, said } = await open(browser, url);
  const chart = await page.waitForSelector("#clients [data-chart]");
  await chart.scrollIntoView();
  await page.waitForSelector("#clients .u-over");
  const box = await (await page.$("#clients .u-over")).boundingBox();
  const button = () => page.$eval("#clients .tools button", (it) => !it.hidden);
  expect(!(await button()), "everything is shown at first");
  await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 8 });
  await page.mouse.up();
  expect(await button(), "a drag does not zoom");
  expect(await page.$eval("#clients output", (it) => /at .* s, \d\d:/.test(it.textContent)), "the cursor reads nothing");
  await page.click("#clients .tools button");
  expect(!(await button()), "Show all does not show all");
  const pressed = () => page.$eval("#clients .legend button", (it) => it.getAttribute("aria-pressed"));
  await page.click("#clients .legend button");
  expect((await pressed()) === "false", "a click on a line's name does not hide it");
  await page.click("#clients .legend button");
  expect((await pressed()) === "true", "a second click does not show it again");
  await page.focus("#clients [data-chart]");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  expect(await page.$eval("#clients .legend .value", (it) => it.textContent.trim() !== ""), "the arrow keys read nothing");
  await page.keyboard.press("+");
  expect(await button(), "the key + does not zoom");
  await page.keyboard.press("Escape");
  expect(!(await button()), "Escape does not show all");
  expect(said.length === 0, `while it was used it said ${said.join("; ")}`);
  await page.close();
  tell("zoom, legend, cursor and keys work");
}

/** Without script a picture that is wider than a telephone says that it goes on; with script every chart fits. */
async function fits(browser) {
  for (const script of [true, false]) {
    const page = await browser.newPage();
    await page.setJavaScriptEnabled(script);
    await page.setViewport({ width: 400, height: 900 });
    await page.goto(url, { waitUntil: "load" });
    if (script) await readThrough(page);
    const plots = await page.$$eval(".plot", (all) => all.map((it) => {
      const hint = getComputedStyle(it, "::before");
      return { name: it.dataset.chart ?? it.getAttribute("aria-label"), isChart: Boolean(it.dataset.chart), goesOn: it.scrollWidth > it.clientWidth + 1, hint: hint.content !== "none" && hint.display !== "none" };
    }));
    for (const { name, isChart, goesOn, hint } of plots) {
      expect(goesOn === hint, `400 px, ${script ? "with" : "without"} script: ${name} ${goesOn ? "goes on beyond the screen and does not say so" : "says that it goes on, and does not"}`);
      expect(!script || !isChart || !goesOn, `400 px, with script: ${name} goes on beyond the screen`);
    }
    if (shots && !script) await page.screenshot({ path: `${shots}/400-no-script.png`, fullPage: true });
    await page.close();
  }
  tell("at 400 px charts fit, and pictures say that they go on");
}

/** The first page of paper has the verdict and every gate, and says what of them stands on the second, where it does. */
async function prints(browser) {
  const { page } = await open(browser, url, { width: 703, height: 1032 });
  await readThrough(page);
  await page.emulateMediaType("print");
  const paper = await page.evaluate(() => {
    const shown = (it) => it.getBoundingClientRect().height > 0;
    const rows = (what) => [...document.querySelectorAll(what)];
    return {
      gates: [rows("#gates tr.gate").filter(shown).length, rows("#gates tr.gate").length],
      here: rows("#gates tr.objective").filter(shown).length,
      all: rows("#gates tr.objective").length,
      said: rows("#gates .paper").filter(shown).map((it) => Number(it.textContent.match(/and ([\d,]+) more/)[1].replace(",", ""))).reduce((sum, n) => sum + n, 0),
      later: rows("#gates-more tr.objective").filter(shown).length,
    };
  });
  expect(paper.gates[0] === paper.gates[1] && paper.gates[1] > 1, `the first page has ${paper.gates[0]} of ${paper.gates[1]} gates`);
  expect(paper.here + paper.later === paper.all && paper.later === paper.said, `of ${paper.all} objectives paper has ${paper.here} at first and ${paper.later} later, and says ${paper.said}`);
  // A4 with margins of 12 mm, at 96 pixels an inch.
  const foot = await page.$eval("#gates table", (it) => it.getBoundingClientRect().bottom + scrollY);
  expect(foot <= 273 / 25.4 * 96, `verdict and gates end ${Math.round(foot)} px below the top of the first page of A4`);
  // Of no picture is a text cut off at its edge.
  const cut = await page.evaluate(() => [...document.querySelectorAll(".plot > svg text")].filter((text) => {
    const { x, y, width, height } = text.ownerSVGElement.getBoundingClientRect();
    const own = text.getBoundingClientRect();
    return own.left < x - 1 || own.right > x + width + 1 || own.top < y - 1 || own.bottom > y + height + 1;
  }).map((text) => text.textContent));
  expect(cut.length === 0, `printed, a picture cuts off ${cut.join(", ")}`);
  const canvases = await page.$$eval("canvas", (all) => all.filter((it) => it.offsetParent !== null).length);
  expect(canvases === 0, "a chart that is live is printed in place of its picture");
  if (shots) await page.pdf({ path: `${shots}/print.pdf`, preferCSSPageSize: true, printBackground: true });
  await page.close();
  tell(`verdict and gates end ${Math.round(foot / 96 * 25.4)} mm below the top of the first page's 273 mm, with ${paper.here} of ${paper.all} objectives`);
}

/** As a CI system shows artefacts: script and style are forbidden, and so is everything else. */
async function forbidden(browser) {
  const html = readFileSync(file);
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.setHeader("content-security-policy", "default-src 'none'");
    response.end(html);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const { page } = await open(browser, `http://127.0.0.1:${server.address().port}/report.html`);
  const seen = await page.evaluate(() => {
    const shown = (it) => it.getBoundingClientRect().width > 20 && it.getBoundingClientRect().height > 5;
    const all = (what) => [...document.querySelectorAll(what)];
    return {
      styled: getComputedStyle(document.body).maxWidth !== "none",
      live: document.documentElement.dataset.live,
      heading: document.querySelector("h1").innerText,
      gates: all("#gates tr.objective").filter((row) => shown(row) && row.querySelectorAll("data").length >= 2 && (row.querySelector("svg") || /not applicable/.test(row.innerText))).length,
      objectives: all("#gates tr.objective").length,
      pictures: all("#latency figure .plot svg").filter((it) => shown(it) && [...it.querySelectorAll("path")].some((path) => getComputedStyle(path).stroke !== "none")).length,
      surfaces: all("#latency figure").length,
    };
  });
  expect(!seen.styled && !seen.live, "script or style were not forbidden, so that this shows nothing");
  expect(/^(GO|NO-GO|HOLD): /.test(seen.heading), `the heading is ${seen.heading}`);
  expect(seen.objectives > 0 && seen.gates === seen.objectives, `${seen.gates} of ${seen.objectives} objectives are told`);
  expect(seen.surfaces > 0 && seen.pictures === seen.surfaces, `${seen.pictures} pictures of ${seen.surfaces} surfaces`);
  expect(asked.length === 1, `it asked for ${asked.slice(1).join(", ")}`);
  if (shots) await page.screenshot({ path: `${shots}/forbidden.png`, fullPage: true });
  await page.close();
  server.close();
  tell("with script and style forbidden everything stands");
}

await withBrowser(async (browser) => {
  tell(`${file}: ${Math.ceil(statSync(file).size / 1024)} KiB`);
  for (const width of [1280, 400]) {
    for (const dark of [false, true]) await looks(browser, width, dark);
  }
  await acts(browser);
  await fits(browser);
  await prints(browser);
  await forbidden(browser);
});
for (const failure of failures) tell(`FAIL  ${failure}`);
process.exit(failures.length ? 1 : 0);
