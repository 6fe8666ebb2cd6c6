// A picture of the first screen of a report, and of one part of it: node picture.mjs REPORT.html OUT.png [#PART]
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { open, withBrowser } from "./browser.mjs";

const [file, out, part] = process.argv.slice(2);
await withBrowser(async (browser) => {
  const url = pathToFileURL(resolve(file)).href;
  const { page } = await open(browser, url, { width: 1120, height: 860 });
  if (part) {
    await page.$eval(part, (it) => it.scrollIntoView());
    await new Promise((drawn) => setTimeout(drawn, 400));
  }
  const whole = part && (await page.$(part));
  const box = whole && (await whole.boundingBox());
  if (box && box.height < 860) await whole.screenshot({ path: out });
  else await page.screenshot({ path: out });
});
