/** Scenarios of the page's address, appearance, theory, and missing WebGPU. */
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { assert, assertEquals, assertStringIncludes } from "../../../support/assert/assert.ts";
import {
  assertClean,
  FIXTURE_OF_NOTHING,
  LAVAPIPE,
  look,
  type Run,
  SWIFTSHADER,
  textOf,
  WITHOUT_GPU,
} from "./scenario.ts";
import { type Opened, ORIGIN, until } from "./stage.ts";

export const keepsTheSelection: Run = async (stage) => {
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
  // Opening the address again restores the selection.
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

export const explainsMissingWebGpu: Run = async (stage) => {
  // One page has no WebGPU. The other has WebGPU but no adapter, as if the driver were on the
  // browser's blocklist.
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
    assertStringIncludes(await textOf(opened, "#no-webgpu"), "Safari has it since version 26");
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

export const followsTheSliders: Run = async (stage) => {
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
  // With this option, axe describes only one element for each rule that passes or does not apply.
  // Describing all elements would take most of the scenario's time.
  const { violations } = await page.evaluate(
    "axe.run(document, { resultTypes: ['violations'] })",
  ) as axe.AxeResults;
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) =>
      `${id}: ${nodes.map(({ html }) => html.slice(0, 150)).slice(0, 3).join(" | ")}`
    );
}

export const isAccessible: Run = async (stage) => {
  const light = await stage.open();
  await light.page.setInputFiles("#files", [LAVAPIPE, SWIFTSHADER]);
  await until(light.page, "!document.querySelector('#comparison').hidden");
  await light.page.locator("#theory-form").scrollIntoViewIfNeeded();
  await until(light.page, "document.querySelectorAll('#theory-figures dd').length > 0");
  assertEquals(await audit(light), [], "light");
  // The tests of src/report check the comparison's colors. Checking all of them here would take
  // seconds.
  const dark = await stage.open({ colorScheme: "dark", before: WITHOUT_GPU });
  await dark.page.setInputFiles("#files", [LAVAPIPE, FIXTURE_OF_NOTHING]);
  await until(dark.page, "document.querySelector('#file-problems li') !== null");
  await dark.page.locator("#theory-form").scrollIntoViewIfNeeded();
  await until(dark.page, "document.querySelectorAll('#theory-figures dd').length > 0");
  assertEquals(await audit(dark), [], "dark");
};

export const fitsAPhone: Run = async (stage) => {
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
  // Buttons, lists and fields are large enough for a finger: at least 24 pixels high.
  const small = await page.evaluate(
    `[...document.querySelectorAll("button, select, input:not([type=checkbox], ` +
      `[type=radio])")].filter((each) => each.getClientRects().length > 0 && each.getBoundingClientRect().height < 24)` +
      `.map((each) => each.id || each.textContent)`,
  );
  assertEquals(small, []);
  await page.focus("#grid");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  // The browser shows the new choice at once, but tells the page of it some time later.
  await until(page, "location.search.includes('shapes=default')");
  await look(opened, "phone");
  assertClean(opened);
};

export const opensFromThePublicFace: Run = async (stage, built) => {
  const bundled = fileURLToPath(new URL("public.js", built));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform=browser", `--output=${bundled}`],
      fileURLToPath(new URL("../../../../mod.ts", import.meta.url)),
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
