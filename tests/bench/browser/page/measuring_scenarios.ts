/** Scenarios of measuring on the page. */
import type { ResultFile } from "../../../../src/measure/result_file.ts";
import { parseResultFile } from "../../../../src/measure/result_file/parse.ts";
import { assert, assertEquals, assertStringIncludes } from "../../../support/assert/assert.ts";
import { assertClean, clipboard, look, type Run, textOf } from "./scenario.ts";
import { type Opened, ORIGIN, until } from "./stage.ts";
import { WEIGHT } from "./weight.ts";

async function finish({ page }: Opened): Promise<void> {
  await until(page, "!document.querySelector('#run').disabled");
}

async function saved(opened: Opened): Promise<ResultFile> {
  const download = opened.page.waitForEvent("download");
  await opened.page.click("#save");
  const file = await download;
  return parseResultFile(await Deno.readTextFile(await file.path()), file.suggestedFilename());
}

export const measuresToTheEnd: Run = async (stage, built) => {
  const path = "/?kernels=v-scale&passes=forward&budget=30&label=A+%3Cb%3Elabel";
  // The copying ceiling copies 1 MiB here. With the usual 64 MiB, each measurement of it would take
  // the browser's software driver ten seconds.
  let smaller = 0;
  const rewrite = (script: string): string =>
    script.replace("?2**26:2**27", () => {
      smaller++;
      return "?2**20:2**20";
    });
  const opened = await stage.open({ path, rewrite });
  const { page } = opened;
  assertStringIncludes(await textOf(opened, "#adapter-text"), "timer");
  await page.click("#run");
  await finish(opened);
  assert(smaller > 0, "the copies' sizes were found in the script");
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
  assertStringIncludes(await textOf(opened, "#run-table"), "portable");
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
  // The total size of the page's scripts.
  let script = 0;
  for (const url of new Set(opened.requests)) {
    if (!url.endsWith(".js")) continue;
    script += (await Deno.stat(new URL(url.slice(ORIGIN.length + 1), built))).size;
  }
  assert(script > 100_000 && script <= WEIGHT, `${script} bytes of script`);
  assertClean(opened);
};

export const showsWrongAsWrong: Run = async (stage) => {
  let broken = 0;
  const opened = await stage.open({
    path: "/?kernels=v-scale&passes=forward&budget=1",
    // Makes every kernel that computes φ = r / (r + C) compute r / (r + 2C) instead.
    rewrite: (script) =>
      script.replaceAll("squaredNorm + c * scale", () => {
        broken++;
        return "squaredNorm + 2.0 * c * scale";
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

export const pausesAndCancels: Run = async (stage) => {
  const opened = await stage.open({
    // This address asks for many measurements, so that some are left when the test pauses and
    // cancels. The budget is too short to measure ceilings.
    path: "/?kernels=v-scale,rms-norm&shapes=full&cache=hot,cold&budget=25",
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
  assertStringIncludes(await textOf(opened, "#status"), "is marked incomplete");
  const file = await saved(opened);
  assertEquals(file.status, "incomplete");
  assert(file.measurements.some(({ samples }) => samples.length > 0), "something was kept");
  assertEquals(await page.inputValue("#seed"), before);
  assertClean(opened);
};

export const recoversALostDevice: Run = async (stage) => {
  const opened = await stage.open({
    path: "/?kernels=v-scale,rms-norm&passes=forward&shapes=default&budget=10",
  });
  const { page } = opened;
  const crash = await stage.gpuCrash();
  await page.click("#run");
  await until(
    page,
    "/^0 of 12: .*taking/.test(document.querySelector('#progress-text').textContent)",
  );
  crash();
  await finish(opened);
  assertStringIncludes(await textOf(opened, "#trouble"), "the page opened it again for the others");
  const { measurements } = await saved(opened);
  const states = measurements.map(({ status = "ok" }) => status);
  // The crash makes one row of four fail. The other three are measured, even if their measurement
  // began before the crash.
  assertEquals([states.length, states.filter((state) => state === "failed").length], [4, 1]);
  assertStringIncludes(
    measurements.find(({ status }) => status === "failed")!.reason!,
    "device was lost",
  );
};
