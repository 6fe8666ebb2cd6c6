// A headless Chromium, and pages opened in it with what they said and asked for.
import { existsSync } from "node:fs";
import puppeteer from "puppeteer-core";

/** Chromium as this machine has it: `CHROMIUM`, else the usual places. */
function chromium() {
  const places = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  const found = places.find((place) => place && existsSync(place));
  if (!found) throw new Error("no Chromium: install it, or name it with CHROMIUM");
  return found;
}

/** A browser, until `use` is done with it. */
export async function withBrowser(use) {
  const browser = await puppeteer.launch({ executablePath: chromium(), args: ["--no-sandbox", "--disable-gpu"] });
  try {
    return await use(browser);
  } finally {
    await browser.close();
  }
}

/** A page of `url`; `asked` are the requests beyond the page itself, `said` errors and warnings. */
export async function open(browser, url, { width = 1280, height = 900, dark = false, scale = 1 } = {}) {
  const page = await browser.newPage();
  const [asked, said] = [[], []];
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) asked.push(request.url());
  });
  page.on("console", (message) => {
    if (["error", "warn", "warning"].includes(message.type())) said.push(message.text());
  });
  page.on("pageerror", (error) => said.push(error.message));
  await page.setViewport({ width, height, deviceScaleFactor: scale });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
  await page.goto(url, { waitUntil: "load", timeout: 60_000 });
  return { page, asked, said };
}

/** Scrolls through a page, so that every chart has been on the screen. */
export async function readThrough(page) {
  await page.evaluate(async () => {
    for (let y = 0; y < document.documentElement.scrollHeight; y += 500) {
      scrollTo(0, y);
      await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(drawn, 30))));
    }
    scrollTo(0, 0);
  });
}
