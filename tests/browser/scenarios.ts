/** What happens on the page, one function each; `child.ts` runs them in one browser. */
import axe from "axe-core";
import { compareResultFiles } from "../../src/measure/comparison.ts";
import type { ResultFile } from "../../src/measure/result_file.ts";
import { formatResultFile, parseResultFile } from "../../src/measure/result_file_parse.ts";
import { formatComparisonMarkdown } from "../../src/report/comparison_text.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert.ts";
import { type Listed, scenarioList } from "./scenario_list.ts";
import { type Opened, ORIGIN, type Stage, until } from "./stage.ts";

/** Something that happens. */
export interface Scenario {
  readonly needsGpu?: boolean;
  readonly run: (stage: Stage, built: URL) => Promise<void>;
}

type Run = Scenario["run"];

const fixtures = new URL("../../fixtures/", import.meta.url);
const [LAVAPIPE, SWIFTSHADER] = ["lavapipe-deno.json", "swiftshader-deno.json"]
  .map((name) => new URL(name, fixtures).pathname) as [string, string];

/** No result file. */
const FIXTURE_OF_NOTHING = new URL("../../deno.json", import.meta.url).pathname;

/** Before a page's script: a browser that does not know WebGPU, which is faster than one that computes on the CPU. */
const WITHOUT_GPU = "delete Navigator.prototype.gpu;";

/** Nothing else was asked for than the page's own files, and nothing went wrong. */
function assertClean({ requests, complaints }: Opened): void {
  assertEquals(requests.filter((url) => !url.startsWith(`${ORIGIN}/`)), []);
  assertEquals(complaints, []);
}

/** Pictures for those who look, where `GRADSINK_SCREENSHOTS` names a folder. */
async function look({ page }: Opened, name: string): Promise<void> {
  const folder = Deno.env.get("GRADSINK_SCREENSHOTS");
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}

async function textOf({ page }: Opened, selector: string): Promise<string> {
  return (await page.textContent(selector) ?? "").replaceAll(/\s+/g, " ").trim();
}

async function finish({ page }: Opened): Promise<void> {
  await until(page, "!document.querySelector('#run').disabled");
}

async function saved(opened: Opened): Promise<ResultFile> {
  const download = opened.page.waitForEvent("download");
  await opened.page.click("#save");
  const file = await download;
  return parseResultFile(await Deno.readTextFile(await file.path()), file.suggestedFilename());
}

async function clipboard({ page }: Opened): Promise<string> {
  return await page.evaluate("navigator.clipboard.readText()") as string;
}

const measuresToTheEnd: Run = async (stage, built) => {
  const path = "/?kernels=v-scale&passes=forward&budget=1&label=A+%3Cb%3Elabel";
  const opened = await stage.open({ path });
  const { page } = opened;
  assertStringIncludes(await textOf(opened, "#adapter-text"), "timer");
  await page.click("#run");
  await finish(opened);
  assertEquals(await textOf(opened, "#trouble"), "");
  assertEquals(await textOf(opened, "#status"), "Done: 1 measurement");
  const file = await saved(opened);
  assertEquals(file.status, "complete");
  assertEquals(file.runtime.name, "browser");
  assertEquals(file.label, "A <b>label");
  assert(file.adapter.vendor !== "", "the adapter is named");
  assert(file.ceilings.copyBandwidth!.value > 0, "ceilings are measured");
  const [measurement] = file.measurements;
  assertEquals([measurement!.kernel, measurement!.pass], ["v-scale", "forward"]);
  assert(measurement!.samples.length > 0, "there are samples");
  assert(measurement!.correctness!.error <= measurement!.correctness!.tolerance, "it was checked");
  assertStringIncludes(await textOf(opened, "#run-table"), "row-per-invocation");
  assertEquals(
    await page.locator("#run-roofline svg path[transform]").count(),
    2,
    "wide and narrow",
  );
  await page.click("#copy-json");
  await until(page, "document.querySelector('#copy-json').textContent === 'Copied'");
  assertEquals(parseResultFile(await clipboard(opened), "copied"), file);
  await page.click("#copy-markdown");
  await until(page, "document.querySelector('#copy-markdown').textContent === 'Copied'");
  assertStringIncludes(await clipboard(opened), "| v-scale | forward |");
  await page.click("#copy-adapter");
  await until(page, "document.querySelector('#copy-adapter').textContent === 'Copied'");
  assertStringIncludes(await clipboard(opened), "vendor ");
  await look(opened, "measured");
  // What the page weighs, of everything that it ever asked for.
  let script = 0;
  for (const url of new Set(opened.requests)) {
    if (!url.endsWith(".js")) continue;
    script += (await Deno.stat(new URL(url.slice(ORIGIN.length + 1), built))).size;
  }
  assert(script > 100_000 && script <= 400_000, `${script} bytes of script`);
  assertClean(opened);
};

const showsWrongAsWrong: Run = async (stage) => {
  let broken = 0;
  const opened = await stage.open({
    path: "/?kernels=v-scale&passes=forward&budget=1",
    // φ = r / (r + C) becomes r / (r + 2C), in every form of the kernel.
    rewrite: (script) =>
      script.replaceAll("squaredNorm + constant[", () => {
        broken++;
        return "squaredNorm + 2.0 * constant[";
      }),
  });
  assert(broken > 0, "the kernel was found in the script");
  await opened.page.click("#run");
  await finish(opened);
  assertStringIncludes(await textOf(opened, "#trouble"), "1 of them wrong or failed");
  const row = await textOf(opened, "#run-table tbody tr");
  assertStringIncludes(row, "wrong");
  assertStringIncludes(row, "allowed is 0.00000200");
  assert(!/\d (ns|µs|ms|s) /.test(row), `no time is shown: ${row}`);
  const [measurement] = (await saved(opened)).measurements;
  assertEquals([measurement!.status, measurement!.samples.length], ["wrong", 0]);
  assertEquals(await opened.page.locator("#run-roofline svg path[transform]").count(), 0);
  assertClean(opened);
};

const pausesAndCancels: Run = async (stage) => {
  const opened = await stage.open({
    path: "/?kernels=v-scale,rms-norm&shapes=full&cache=hot,cold&budget=600",
  });
  const { page } = opened;
  await page.click("#run");
  await until(
    page,
    "/[1-9]\\d* of \\d+:/.test(document.querySelector('#progress-text').textContent)",
  );
  await page.click("#pause");
  await until(page, "/paused/.test(document.querySelector('#progress-text').textContent)");
  const before = await page.inputValue("#seed");
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assertStringIncludes(await textOf(opened, "#progress-text"), "paused");
  assertEquals(await textOf(opened, "#pause"), "Go on");
  await page.click("#pause");
  await until(page, "!/paused/.test(document.querySelector('#progress-text').textContent)");
  await page.click("#cancel");
  await finish(opened);
  assertStringIncludes(await textOf(opened, "#status"), "the file says that it is incomplete");
  const file = await saved(opened);
  assertEquals(file.status, "incomplete");
  assert(file.measurements.some(({ samples }) => samples.length > 0), "something was kept");
  assertEquals(await page.inputValue("#seed"), before);
  assertClean(opened);
};

const recoversALostDevice: Run = async (stage) => {
  const opened = await stage.open({
    path: "/?kernels=v-scale,rms-norm&passes=forward&shapes=default&budget=20",
  });
  const { page } = opened;
  await page.click("#run");
  await until(
    page,
    "/^0 of 4: .*taking/.test(document.querySelector('#progress-text').textContent)",
  );
  await stage.crashGpu();
  await finish(opened);
  assertStringIncludes(await textOf(opened, "#trouble"), "it was opened anew for the others");
  const { measurements } = await saved(opened);
  const states = measurements.map(({ status = "ok" }) => status);
  // One row is lost, and all others are measured, also those that were under way.
  assertEquals([states.length, states.filter((state) => state === "failed").length], [4, 1]);
  assertStringIncludes(
    measurements.find(({ status }) => status === "failed")!.reason!,
    "device was lost",
  );
};

const compares: Run = async (stage) => {
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
  // A third one, of the project's own, then the second as the baseline.
  await page.click("button[data-fixture$='swiftshader-dawn.json']");
  await until(page, "/3 files/.test(document.querySelector('#status').textContent)");
  assertStringIncludes(await textOf(opened, ".comparison-title"), "3 machines compared");
  await page.click("#file-list li:nth-child(3) button >> nth=1"); // away with it
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

/** Files that are not what they should be, with what must be said of each. */
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

const refusesHostileFiles: Run = async (stage) => {
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
  // Valid files full of markup: shown as text, in the list, the tables, the pictures and the page to save.
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

const survivesLargeFiles: Run = async (stage) => {
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
  })).map(({ cpuSamples: _c, throttleSamples: _t, driftingSamples: _d, ...each }) => each);
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

const keepsTheSelection: Run = async (stage) => {
  const path =
    "/?kernels=rms-norm,attention&passes=backward&shapes=paper-0.1b&cache=cold&budget=7&seed=3";
  const opened = await stage.open({ path });
  const { page } = opened;
  const checked =
    "[...document.querySelectorAll('#selection input:checked')].map((each) => each.value).join()";
  assertEquals(await page.evaluate(checked), "attention,rms-norm,backward,cold,paper-0.1b");
  assertEquals(await page.inputValue("#grid"), "named");
  assertEquals([await page.inputValue("#budget"), await page.inputValue("#seed")], ["7", "3"]);
  await page.selectOption("#grid", "default");
  await page.check("input[name=passes][value=forward]");
  await page.fill("#budget", "60");
  await page.locator("#budget").blur();
  const query = new URL(page.url()).search;
  assertEquals(query, "?kernels=attention%2Crms-norm&shapes=default&cache=cold&seed=3");
  // The address repeats it.
  await page.goto(`${ORIGIN}/${query}`);
  assertEquals(await page.evaluate(checked), "attention,rms-norm,forward,backward,cold");
  assertEquals(await page.inputValue("#grid"), "default");
  await page.goto(
    `${ORIGIN}/?kernels=%3Cb%3Ex&budget=-1&seed=1e9&variants=some&shapes=quick,full&label=%00x`,
  );
  const problems = await page.locator("#address-problems li").allTextContents();
  assertEquals(problems.length, 5, problems.join("\n"));
  assertStringIncludes(problems.join(), 'kernels is "<b>x"');
  assertEquals(await page.inputValue("#budget"), "60");
  assertClean(opened);
};

const explainsMissingWebGpu: Run = async (stage) => {
  // Not there at all; or there, and without an adapter, as behind a browser's list of troublesome drivers.
  const without = await stage.open({ before: WITHOUT_GPU });
  const blocked = await stage.open({
    before: 'if (!("gpu" in navigator)) Object.defineProperty(navigator, "gpu", { value: {} });',
    rewrite: (script, name) =>
      name === "worker.js"
        ? `Object.defineProperty(navigator, "gpu", { value: { requestAdapter: async () => null } });${script}`
        : script,
  });
  const reasons = [[without, "navigator.gpu"], [blocked, "no usable adapter"]] as const;
  for (const [opened, reason] of reasons) {
    const { page } = opened;
    await until(page, "!document.querySelector('#no-webgpu').hidden");
    assertStringIncludes(await textOf(opened, "#no-webgpu"), "Safari has it from version 26 on");
    assertStringIncludes(await textOf(opened, "#no-webgpu-reason"), reason);
    assertEquals(await page.isDisabled("#run"), true);
    await page.locator("#theory-form").scrollIntoViewIfNeeded();
    await until(page, "/float64 reference/.test(document.querySelector('#theory-by').textContent)");
    assertClean(opened);
  }
  await look(without, "no-webgpu");
  await without.page.setInputFiles("#files", [LAVAPIPE, SWIFTSHADER]);
  await until(without.page, "!document.querySelector('#comparison').hidden");
};

const followsTheSliders: Run = async (stage) => {
  const opened = await stage.open();
  const { page } = opened;
  const figures = async (): Promise<string[]> =>
    await page.locator("#theory-figures dd").allTextContents();
  const settle = async (id: string, value: string): Promise<string[]> => {
    const before = (await figures()).join();
    await page.fill(`#${id}`, value);
    await until(
      page,
      `[...document.querySelectorAll('#theory-figures dd')].map((each) => each.textContent).join() !== ${
        JSON.stringify(before)
      }`,
    );
    return await figures();
  };
  await page.locator("#theory-form").scrollIntoViewIfNeeded();
  await until(page, "document.querySelectorAll('#theory-figures dd').length > 0");
  const first = (texts: string[], i: number): number => Number.parseFloat(texts[i]!);
  const weak = await settle("strength", "0");
  const strong = await settle("strength", "9");
  assert(first(weak, 0) < 8 && first(strong, 0) > 50, `M_0 grows: ${weak[0]}, ${strong[0]}`);
  assert(first(strong, 2) > 20 * first(weak, 2), "the gradient at the sink's value grows");
  const massive = await settle("activation", "2");
  assert(first(massive, 4) < first(strong, 4) / 50, `RMSNorm compresses: ${massive[4]}`);
  await page.check("input[name=valve][value=full]");
  await until(
    page,
    "!/^100 %/.test(document.querySelectorAll('#theory-figures dd')[3].textContent)",
  );
  const closed = await settle("sink-value", "-1.5");
  assert(first(closed, 3) < 1, `the valve closes on small values: ${closed[3]}`);
  await look(opened, "theory");
  assertClean(opened);
};

async function audit({ page }: Opened): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate("axe.run(document)") as axe.AxeResults;
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) =>
      `${id}: ${nodes.map(({ html }) => html.slice(0, 150)).slice(0, 3).join(" | ")}`
    );
}

const isAccessible: Run = async (stage) => {
  const light = await stage.open();
  await light.page.setInputFiles("#files", [LAVAPIPE, SWIFTSHADER]);
  await until(light.page, "!document.querySelector('#comparison').hidden");
  await light.page.locator("#theory-form").scrollIntoViewIfNeeded();
  await until(light.page, "document.querySelectorAll('#theory-figures dd').length > 0");
  assertEquals(await audit(light), [], "light");
  // The comparison's colors are computed by the tests of src/report; looking at all of it takes seconds.
  const dark = await stage.open({ colorScheme: "dark", before: WITHOUT_GPU });
  await dark.page.setInputFiles("#files", [LAVAPIPE, FIXTURE_OF_NOTHING]);
  await until(dark.page, "document.querySelector('#file-problems li') !== null");
  await dark.page.locator("#theory-form").scrollIntoViewIfNeeded();
  await until(dark.page, "document.querySelectorAll('#theory-figures dd').length > 0");
  assertEquals(await audit(dark), [], "dark");
};

const fitsAPhone: Run = async (stage) => {
  const opened = await stage.open({
    viewport: { width: 360, height: 740 },
    colorScheme: "dark",
  });
  const { page } = opened;
  await page.keyboard.press("Tab");
  assertEquals(await page.evaluate("document.activeElement.textContent"), "Skip to the measuring");
  await page.click("button[data-fixture$='lavapipe-deno.json']");
  await page.click("button[data-fixture$='swiftshader-deno.json']");
  await until(page, "!document.querySelector('#comparison').hidden");
  const width = await page.evaluate("document.documentElement.scrollWidth") as number;
  assert(width <= 360, `the page is ${width} pixels wide`);
  // Every control is reached, and is large enough for a finger.
  const small = await page.evaluate(
    `[...document.querySelectorAll("button, select, input:not([type=checkbox], ` +
      `[type=radio])")].filter((each) => each.getClientRects().length > 0 && each.getBoundingClientRect().height < 24)` +
      `.map((each) => each.id || each.textContent)`,
  );
  assertEquals(small, []);
  await page.focus("#grid");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  // The browser draws the choice, and tells the page, in its own time.
  await until(page, "location.search.includes('shapes=default')");
  await look(opened, "phone");
  assertClean(opened);
};

const opensFromThePublicFace: Run = async (stage, built) => {
  const bundled = new URL("public.js", built).pathname;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform=browser", `--output=${bundled}`],
      new URL("../../mod.ts", import.meta.url).pathname,
    ],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const opened = await stage.open({ impatient: true });
  const found = await opened.page.evaluate(`(async () => {
    const { GpuError, openGpu, rmsNormForward } = await import("/public.js");
    const wrong = await openGpu({ runtime: "chrome" }).catch((error) => error.message);
    const gpu = await openGpu({ runtime: "browser" });
    const input = gpu.tensor([3, 4], [1, 2]), gain = gpu.tensor([1, 1], [2]);
    const { output } = rmsNormForward(gpu, { input, gain, epsilon: 0 });
    const numbers = [...await output.read()];
    gpu.dispose();
    return { wrong, numbers, runtime: gpu.info.runtime };
  })()`) as { wrong: string; numbers: number[]; runtime: string };
  assertStringIncludes(found.wrong, 'wanted one of "deno", "dawn", "browser"');
  assertEquals(found.runtime, "browser");
  const wanted = [3, 4].map((x) => x / Math.sqrt(12.5));
  assert(found.numbers.every((x, i) => Math.abs(x - wanted[i]!) < 1e-6), found.numbers.join());
};

const runs: readonly Run[] = [
  measuresToTheEnd,
  showsWrongAsWrong,
  pausesAndCancels,
  compares,
  refusesHostileFiles,
  survivesLargeFiles,
  keepsTheSelection,
  explainsMissingWebGpu,
  followsTheSliders,
  isAccessible,
  fitsAPhone,
  opensFromThePublicFace,
  recoversALostDevice,
];

/** By name, in the order of `scenario_list.ts`. */
export const scenarios: Readonly<Record<string, Scenario>> = Object.fromEntries(
  scenarioList.map(({ name, needsGpu }: Listed, i) => [name, { needsGpu, run: runs[i]! }]),
);
