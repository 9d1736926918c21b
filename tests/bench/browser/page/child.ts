/**
 * Drives the browser for `page_test.ts`, in a child process, because the driver needs permissions
 * that the tests lack. Builds the page, then prints JSON lines: whether the browser has a GPU, and
 * each scenario's result. If there is no Chromium, prints why.
 */
import { pathToFileURL } from "node:url";
import { Buffer } from "node:buffer";
import { buildPage } from "../../../../bench/browser/build.ts";
import { findChromium } from "./chromium.ts";
import { scenarios } from "./scenarios.ts";
import { Stage } from "./stage.ts";

// The driver is a Node package and needs Node's Buffer.
(globalThis as { Buffer?: unknown }).Buffer ??= Buffer;

function report(line: object): void {
  console.log(JSON.stringify(line));
}

const found = await findChromium();
if (typeof found === "string") {
  report({ type: "none", reason: found });
  Deno.exit(0);
}
const folder = await Deno.makeTempDir({ prefix: "gradsink-page-" });
const built = new URL("dist/", pathToFileURL(`${folder}/`));
let stage: Stage | undefined;
try {
  await buildPage({ folder: built });
  stage = await Stage.start(found, built);
  const gpu = await stage.hasGpu();
  report({ type: "ready", gpu });
  for (const [name, { needsGpu = false, run }] of Object.entries(scenarios)) {
    if (needsGpu && !gpu) continue;
    try {
      await run(stage, built);
      report({ type: "result", name });
    } catch (error) {
      report({ type: "result", name, error: error instanceof Error ? error.stack : String(error) });
    } finally {
      await stage.clear();
    }
  }
} finally {
  await stage?.browser.close();
  await Deno.remove(folder, { recursive: true });
}
Deno.exit(0);
