/**
 * Kernels broken on purpose, each with the property that must fail on it. A mutant replaces literal
 * WGSL text; if a changed kernel no longer has this text, the mutant's test fails.
 */
import { readdir } from "node:fs/promises";
import type { Mutant } from "./mutant.ts";

const folder = new URL("./kernels/", import.meta.url);

/**
 * The mutants of all kernels, from the files in `kernels/` beside this one.
 *
 * @throws {Deno.errors.NotCapable} without the permission to read them
 */
export async function readMutants(): Promise<readonly Mutant[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".ts")).sort();
  const modules = await Promise.all(
    files.map((name) => import(new URL(name, folder).href) as Promise<{ mutants: Mutant[] }>),
  );
  return modules.flatMap(({ mutants }) => mutants);
}
