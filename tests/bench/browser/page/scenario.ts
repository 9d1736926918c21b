/** The form of a scenario on the page, and checks that many of them share. */
import { fileURLToPath } from "node:url";
import { assertEquals } from "../../../support/assert/assert.ts";
import { type Opened, ORIGIN, type Stage } from "./stage.ts";

/** Something that happens. */
export interface Scenario {
  readonly needsGpu?: boolean;
  readonly run: (stage: Stage, built: URL) => Promise<void>;
}

/** What is done. */
export type Run = Scenario["run"];

const fixtures = new URL("../../../../fixtures/", import.meta.url);

/** A result file of lavapipe. */
export const LAVAPIPE = fileURLToPath(new URL("lavapipe-deno.json", fixtures));

/** A result file of SwiftShader. */
export const SWIFTSHADER = fileURLToPath(new URL("swiftshader-deno.json", fixtures));

/** No result file. */
export const FIXTURE_OF_NOTHING = fileURLToPath(new URL("../../../../deno.json", import.meta.url));

/**
 * Before a page's script: a browser that does not know WebGPU, which is faster than one that
 * computes on the CPU.
 */
export const WITHOUT_GPU = "delete Navigator.prototype.gpu;";

/** The page requested nothing but its own files, and nothing went wrong. */
export function assertClean({ requests, complaints }: Opened): void {
  assertEquals(requests.filter((url) => !url.startsWith(`${ORIGIN}/`)), []);
  assertEquals(complaints, []);
}

/** Saves a screenshot if `GRADSINK_SCREENSHOTS` names a folder. */
export async function look({ page }: Opened, name: string): Promise<void> {
  const folder = Deno.env.get("GRADSINK_SCREENSHOTS");
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}

/** An element's text, without what only lays it out. */
export async function textOf({ page }: Opened, selector: string): Promise<string> {
  return (await page.textContent(selector) ?? "").replaceAll(/\s+/g, " ").trim();
}

/** What was copied last. */
export async function clipboard({ page }: Opened): Promise<string> {
  return await page.evaluate("navigator.clipboard.readText()") as string;
}
