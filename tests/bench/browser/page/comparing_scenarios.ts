/** Scenarios in which the page compares valid files, and refuses faulty ones. */
import { compareResultFiles } from "../../../../src/measure/comparison.ts";
import type { ResultFile } from "../../../../src/measure/result_file.ts";
import { formatResultFile, parseResultFile } from "../../../../src/measure/result_file/parse.ts";
import { formatComparisonMarkdown } from "../../../../src/report/comparison/text.ts";
import { assert, assertEquals, assertStringIncludes } from "../../../support/assert/assert.ts";
import {
  assertClean,
  clipboard,
  LAVAPIPE,
  look,
  type Run,
  SWIFTSHADER,
  textOf,
  WITHOUT_GPU,
} from "./scenario.ts";
import { until } from "./stage.ts";

export const compares: Run = async (stage) => {
  const opened = await stage.open({ before: WITHOUT_GPU });
  const { page } = opened;
  await page.setInputFiles("#files", [LAVAPIPE, SWIFTSHADER]);
  await until(page, "!document.querySelector('#comparison').hidden");
  assertEquals(await page.locator("#file-list li").count(), 2);
  await page.click("#compare-markdown");
  await until(page, "document.querySelector('#compare-markdown').textContent === 'Copied'");
  const results = [LAVAPIPE, SWIFTSHADER].map((path) => {
    const name = path.split("/").at(-1)!;
    return { name, file: parseResultFile(Deno.readTextFileSync(path), name) };
  });
  assertEquals(
    await clipboard(opened),
    formatComparisonMarkdown(compareResultFiles(results, { threshold: 0.05 })),
  );
  for (const id of ["changes", "results", "roofline", "throughput", "samples", "machines"]) {
    assert(await page.locator(`#comparison #${id}`).count() === 1, `there is a section ${id}`);
  }
  assert(await page.locator("#comparison svg.plot").count() > 10, "there are pictures");
  await look(opened, "compared");
  // Adds a third file, one of the fixtures that the page offers, and removes it. Then makes the
  // second file the baseline.
  await page.click("button[data-fixture$='swiftshader-dawn.json']");
  await until(page, "/3 files/.test(document.querySelector('#status').textContent)");
  assertStringIncludes(await textOf(opened, ".comparison-title"), "3 machines compared");
  await page.click("#file-list li:nth-child(3) button >> nth=1"); // removes it
  await until(page, "/2 files/.test(document.querySelector('#status').textContent)");
  await page.click("#file-list li:nth-child(2) button >> nth=0");
  await until(
    page,
    "/^swiftshader/i.test(document.querySelector('.comparison-title').textContent)",
  );
  const download = page.waitForEvent("download");
  await page.click("#compare-page");
  const html = await Deno.readTextFile(await (await download).path());
  assertStringIncludes(html, "<!doctype html>");
  assertClean(opened);
};

/** Faulty files, each with words that the page's error must contain. */
function hostileFiles(): { name: string; text: string; says: string }[] {
  const good = JSON.parse(Deno.readTextFileSync(LAVAPIPE)) as Record<string, unknown>;
  const with_ = (changes: object): string => JSON.stringify({ ...good, ...changes });
  return [
    { name: "empty.json", text: "", says: "is empty" },
    { name: "text.json", text: "hello", says: "is not JSON" },
    { name: "list.json", text: "[]", says: "is not a result file" },
    {
      name: "other.json",
      text: '{"schema":"<img src=x onerror=hurt()>"}',
      says: "is not a result file",
    },
    { name: "newer.json", text: with_({ schema: "gradsink-results/9" }), says: "newer gradsink" },
    { name: "deep.json", text: "[".repeat(100_000), says: "nests deeper" },
    { name: "huge.json", text: " ".repeat(17 * 2 ** 20), says: "larger than 16 MiB" },
    {
      name: "cut.json",
      text: JSON.stringify(good).slice(0, 5000),
      says: "is not JSON, or is cut off",
    },
    { name: "number.json", text: with_({ date: "1e999" }), says: "date" },
    {
      name: "proto.json",
      text: JSON.stringify(good).replace("{", '{"__proto__":{"hurt":1},'),
      says: "not allowed",
    },
    {
      name: "infinite.json",
      text: JSON.stringify(good).replace(/"samples":\[[\d.]+/, '"samples":[1e999'),
      says: "wanted a finite number",
    },
    { name: "<img src=x onerror=hurt()>\u202egnp.json", text: "{}", says: "\\u202e" },
  ];
}

export const refusesHostileFiles: Run = async (stage) => {
  const opened = await stage.open({
    before: WITHOUT_GPU + "globalThis.hurt = () => { globalThis.wasHurt = true; };",
  });
  const { page } = opened;
  for (const { name, text, says } of hostileFiles()) {
    await page.setInputFiles("#files", {
      name,
      mimeType: "application/json",
      buffer: Buffer.from(text),
    });
    await until(page, "document.querySelectorAll('#file-problems li').length === 1");
    const line = await textOf(opened, "#file-problems");
    assertStringIncludes(line, says);
    assert(!line.includes("\u202e") && line.length < 500, line);
    await page.evaluate("document.querySelector('#file-problems').replaceChildren()");
  }
  // These files are valid, but their names and labels contain markup. The list, the tables, the
  // pictures and the saved page must show the markup as text.
  const evil = "<img src=x onerror=hurt()><script>hurt()</script>\u202e\u001b[2J";
  const good = JSON.parse(Deno.readTextFileSync(LAVAPIPE)) as ResultFile;
  const bad: ResultFile = {
    ...good,
    label: evil,
    suite: { version: evil.slice(0, 60), commit: null },
    adapter: { ...good.adapter, vendor: evil, description: evil },
    runtime: { name: "browser", version: evil },
    warnings: [evil],
    measurements: good.measurements.map((each) => ({ ...each, warnings: [evil], reason: evil })),
  };
  const files = [formatResultFile(bad, "bad"), formatResultFile({ ...bad, label: "b" }, "bad")];
  for (const [i, text] of files.entries()) {
    await page.setInputFiles("#files", {
      name: `${i}${evil}.json`,
      mimeType: "application/json",
      buffer: Buffer.from(text),
    });
    await until(page, `document.querySelectorAll('#file-list li').length === ${i + 1}`);
  }
  await until(page, "!document.querySelector('#comparison').hidden");
  assertEquals(await page.locator("img, main script, iframe").count(), 0);
  const shown = await page.textContent("main") ?? "";
  assert(!shown.includes("\u202e") && !shown.includes("\u001b"), "nothing invisible is shown");
  assertStringIncludes(shown, "<img src=x onerror=hurt()>");
  assertEquals(await page.evaluate("globalThis.wasHurt"), undefined);
  assertClean(opened);
};

export const survivesLargeFiles: Run = async (stage) => {
  const opened = await stage.open({
    before:
      "globalThis.longest = 0; let last = performance.now(); setInterval(() => { const now = " +
      "performance.now(); longest = Math.max(longest, now - last); last = now; }, 20);",
  });
  const { page } = opened;
  const good = JSON.parse(Deno.readTextFileSync(LAVAPIPE)) as ResultFile;
  const [first] = good.measurements;
  const many = Array.from({ length: 4000 }, (_, i) => ({
    ...first!,
    kernel: `kernel-${i}`,
    samples: [1000 + i, 1001 + i, 1002 + i],
    rounds: [3],
    processes: [{ round: 0, samples: 3, throttleSamples: 0 }],
  })).map(({ cpuSamples: _c, throttleSamples: _t, driftingSamples: _d, sweeps: _s, ...each }) =>
    each
  );
  const text = JSON.stringify({ ...good, measurements: many });
  for (const name of ["one.json", "two.json"]) {
    await page.setInputFiles("#files", {
      name,
      mimeType: "application/json",
      buffer: Buffer.from(text),
    });
  }
  await until(
    page,
    "!document.querySelector('#comparison').hidden || document.querySelector('#file-problems li') !== null",
  );
  assertStringIncludes(await textOf(opened, "#comparison"), "more rows are not shown");
  const longest = await page.evaluate("longest") as number;
  assert(longest < 8000, `the page stood still for ${longest} ms`);
};
