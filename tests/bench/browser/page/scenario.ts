/** The type of a scenario on the page, and the checks that several scenarios use. */
import { fileURLToPath } from "node:url";
import { assertEquals } from "../../../support/assert/assert.ts";
import { type Opened, ORIGIN, type Stage } from "./stage.ts";

export interface Scenario {
  readonly needsGpu?: boolean;
  readonly run: (stage: Stage, built: URL) => Promise<void>;
}

/** A scenario's actions. */
export type Run = Scenario["run"];

const fixtures = new URL("../../../../fixtures/", import.meta.url);

/** A result file from lavapipe. */
export const LAVAPIPE = fileURLToPath(new URL("lavapipe-deno.json", fixtures));

/** A result file from SwiftShader. */
export const SWIFTSHADER = fileURLToPath(new URL("swiftshader-deno.json", fixtures));

/** A JSON file that is not a result file. */
export const FIXTURE_OF_NOTHING = fileURLToPath(new URL("../../../../deno.json", import.meta.url));

/** Removes WebGPU before a page's own script runs, for scenarios that need no computed results. */
export const WITHOUT_GPU = "delete Navigator.prototype.gpu;";

/** Asserts that the page requested only its own files, and that nothing went wrong. */
export function assertClean({ requests, complaints }: Opened): void {
  assertEquals(requests.filter((url) => !url.startsWith(`${ORIGIN}/`)), []);
  assertEquals(complaints, []);
}

/** Saves a screenshot if `GRADSINK_SCREENSHOTS` names a folder. */
export async function look({ page }: Opened, name: string): Promise<void> {
  const folder = Deno.env.get("GRADSINK_SCREENSHOTS");
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}

/** An element's text, trimmed, with every stretch of white space replaced by one space. */
export async function textOf({ page }: Opened, selector: string): Promise<string> {
  return (await page.textContent(selector) ?? "").replaceAll(/\s+/g, " ").trim();
}

/** The clipboard's text. */
export async function clipboard({ page }: Opened): Promise<string> {
  return await page.evaluate("navigator.clipboard.readText()") as string;
}
