// Opens pages in headless Chromium as a reader would, and prints what happened as JSON.
// node drive.mjs MODULES CHROMIUM PAGE HOSTILE FOLDER [OTHERS...]
import { createRequire } from "node:module";
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, chromium, file, hostile, folder, ...others] = process.argv.slice(2);
const need = createRequire(join(modules, "package.json"));
const found = need("puppeteer-core");
const puppeteer = found.default || found;
const axe = readFileSync(need.resolve("axe-core/axe.min.js"), "utf8");
const profile = mkdtempSync(join(tmpdir(), "segdiff-chromium-"));
const browser = await puppeteer.launch({
  executablePath: chromium,
  headless: true,
  userDataDir: profile,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const result = {};

// A page that is watched: what it asks for, what it complains of, whether anything of a name has run.
const opened = async (path, scheme = "light", width = 1400, height = 1000) => {
  const page = await browser.newPage();
  const seen = { requests: [], complaints: [], dialogs: 0 };
  page.on("request", (r) => r.url().startsWith("data:") || r.url() === pathToFileURL(path).href || seen.requests.push(r.url()));
  page.on("console", (m) => ["error", "warning", "warn"].includes(m.type()) && seen.complaints.push(m.text()));
  page.on("pageerror", (e) => seen.complaints.push(String(e)));
  page.on("dialog", (d) => (seen.dialogs++, d.dismiss()));
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setViewport({ width, height });
  const start = performance.now();
  await page.goto(pathToFileURL(path).href, { waitUntil: "load" });
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
  seen.seconds = (performance.now() - start) / 1000;
  return [page, seen];
};
const violations = async (page) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  return violations.map((v) => `${v.id}: ${v.nodes.length} x ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].failureSummary}`);
};
const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName);
const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
const rows = (page) => page.$$eval("#table tbody tr", (all) => all.map((r) => [...r.cells].map((c) => c.textContent.trim())));
const timed = async (page, action) => {
  await page.evaluate(() => (window.began = performance.now()));
  await action();
  return page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done((performance.now() - window.began) / 1000)))));
};

try {
  const [first] = await opened(file); // warms the browser up
  await first.close();
  const [page, seen] = await opened(file);
  result.opened = seen;

  // The table: sorted, filtered, by state
  const header = (key) => page.click(`#table th[data-key=${key}] button`);
  const all = (await page.$eval(".count", (c) => c.textContent)).match(/of (\d+)/)[1];
  result.pairs = +all;
  result.sortSeconds = await page.evaluate(() => {
    const start = performance.now();
    document.querySelector("#table th[data-key=isolated] button").click();
    document.body.offsetHeight;
    return (performance.now() - start) / 1000;
  });
  result.sorted = (await rows(page)).slice(0, 40).map((r) => r[4]);
  result.ariaSort = await page.$eval("#table th[data-key=isolated]", (h) => h.getAttribute("aria-sort"));
  await header("place");
  result.filterSeconds = await page.evaluate(() => {
    const start = performance.now(), filter = document.querySelector(".filter");
    filter.value = "relu";
    filter.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.offsetHeight;
    return (performance.now() - start) / 1000;
  });
  result.filtered = [...new Set((await rows(page)).map((r) => r[3].split(" ")[0]))];
  await page.$eval(".filter", (f) => ((f.value = ""), f.dispatchEvent(new Event("input", { bubbles: true }))));
  for (const state of ["clean", "inherited", "unknown"]) await page.click(`.state input[value=${state}]`);
  result.states = [...new Set((await rows(page)).map((r) => r[1]))];
  for (const state of ["clean", "inherited", "unknown"]) await page.click(`.state input[value=${state}]`);
  await page.$eval(".rows", (r) => (r.scrollTop = r.scrollHeight));
  await page.evaluate(() => new Promise((done) => setTimeout(done, 100)));
  result.rowsAfterScroll = (await rows(page)).length;

  // The curve: hovered, clicked
  await page.$eval(".plot", (p) => p.scrollIntoView({ block: "center", behavior: "instant" }));
  const plot = await (await page.$(".plot")).boundingBox();
  await page.mouse.move(plot.x + plot.width / 2, plot.y + plot.height / 2);
  result.hint = await page.$eval("#tip", (t) => (t.hidden ? "" : t.textContent));
  await page.mouse.click(plot.x + plot.width / 2, plot.y + plot.height / 2);
  result.clicked = await focused(page);

  // The pictures: dragged, shown alone
  await page.$eval(".pile", (p) => p.scrollIntoView({ block: "center", behavior: "instant" }));
  const pile = await (await page.$(".pile")).boundingBox();
  await page.mouse.move(pile.x + pile.width * 0.5, pile.y + 20);
  await page.mouse.down();
  await page.mouse.move(pile.x + pile.width * 0.25, pile.y + 30, { steps: 4 });
  await page.mouse.up();
  result.dragged = await page.$eval(".slider", (s) => +s.value);
  result.clips = await page.$$eval(".pile .over", (l) => l.filter((i) => getComputedStyle(i).visibility === "visible").map((i) => [i.dataset.key, i.style.clipPath]));
  await page.focus(".slider");
  await press(page, "ArrowRight", "ArrowRight");
  result.moved = await page.$eval(".slider", (s) => +s.value);
  await page.click('.thumbs button[data-key="flips"]');
  result.alone = await page.$$eval(".pile .over", (l) => l.filter((i) => getComputedStyle(i).visibility === "visible").map((i) => i.dataset.key));
  await page.click('.thumbs button[data-key="candidate"]');

  // The graph: searched, unfolded
  await page.focus(".find");
  await page.keyboard.type("conv");
  await press(page, "Enter");
  result.hits = await page.$eval(".hits", (h) => h.textContent);
  result.unfoldSeconds = await timed(page, () => page.click(".unfold"));
  result.unfolded = await page.$$eval(".flow details", (d) => d.every((one) => one.open));
  await page.click(".unfold");

  // By keyboard alone: from the first origin to its row and back, to the graph and back
  await page.reload({ waitUntil: "load" });
  const link = async (test, most = 120) => {
    for (let i = 0; i < most; i++) {
      await press(page, "Tab");
      if (await page.evaluate((t) => (document.activeElement.getAttribute("href") || "").match(t) !== null && document.activeElement.closest("article") !== null, test)) return true;
    }
    return false;
  };
  result.reached = await link("^#pair-");
  await press(page, "Enter");
  result.row = await focused(page);
  await press(page, "Enter");
  result.origin = await focused(page);
  await press(page, "Escape");
  result.backAtRow = await focused(page);
  await press(page, "ArrowDown");
  result.below = await focused(page);
  await press(page, "Enter");
  result.box = await focused(page);
  result.boxSeen = await page.evaluate(() => {
    const at = document.activeElement.getBoundingClientRect(), flow = document.querySelector(".flow").getBoundingClientRect();
    return at.top >= flow.top && at.bottom <= flow.bottom && at.top >= 0 && at.bottom <= innerHeight;
  });
  await press(page, "Enter");
  result.rowOfBox = await focused(page);
  result.opened = seen;
  await page.close();

  // What axe finds, and how it looks
  result.axe = {};
  result.wider = {};
  for (const scheme of ["light", "dark"])
    for (const width of [400, 1400]) {
      const [shot] = await opened(file, scheme, width, width < 500 ? 860 : 1000);
      await shot.evaluate(() => document.querySelectorAll(".origin details, .flow details:first-of-type").forEach((d) => (d.open = true)));
      result.axe[`${scheme} ${width}`] = await violations(shot);
      result.wider[`${scheme} ${width}`] = await shot.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      await shot.evaluate(() => document.querySelectorAll(".origin details, .flow details").forEach((d) => (d.open = false)));
      if (folder) await shot.screenshot({ path: join(folder, `page_${scheme}_${width}.png`), fullPage: true });
      await shot.close();
    }

  // Printed, and without a script
  const [print] = await opened(file);
  result.printed = (await print.pdf({ printBackground: true })).length;
  await print.close();

  // Pages of other answers: opened, judged
  result.others = [];
  for (const path of others) {
    const [other, watched] = await opened(path);
    const stages = await other.$$eval(".stage", (s) => s.map((one) => one.querySelectorAll(".layer").length));
    result.others.push({ ...watched, stages, axe: await violations(other) });
    await other.close();
  }

  // Hostile names
  const [evil, watched] = await opened(hostile);
  await evil.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
  await evil.evaluate(() => document.querySelectorAll("#table th button, .thumbs button, .next, .unfold").forEach((b) => b.click()));
  await evil.focus(".filter");
  await evil.keyboard.type("<img");
  await evil.$$eval(".flow .box", (boxes) => boxes.slice(0, 40).forEach((b) => b.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }))));
  await new Promise((done) => setTimeout(done, 300));
  result.hostile = { ...watched, scripts: await evil.$$eval("script", (s) => s.length), ran: await evil.evaluate(() => "ran" in window), at: evil.url() === pathToFileURL(hostile).href };
  result.hostileAxe = await violations(evil);
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(result));
