/** Runs `deno task sinks` in the test's process, on its GPU. */
import type { Gpu } from "../../../mod.ts";
import { runSinks } from "../../../src/cli/sinks.ts";
import { siblingGpu, type SiblingOptions, testGpu } from "../../support/gpu.ts";
import { recordOutput } from "../record_output.ts";

/**
 * Another `Gpu` on the test's device. It ignores disposal, because the command disposes of its GPU
 * at the end.
 */
export async function lendGpu(options: SiblingOptions = {}): Promise<Gpu> {
  const sibling = siblingGpu(await testGpu("deno"), options);
  Object.defineProperty(sibling, Symbol.dispose, { value: () => {} });
  return sibling;
}

let lent: Promise<Gpu> | undefined;

/** Runs the command in this process. */
export async function run(
  ...args: string[]
): Promise<{ code: number; out: string; err: string }> {
  const output = recordOutput();
  const code = await runSinks(args, { ...output, openGpu: () => lent ??= lendGpu() });
  return { code, ...output.texts };
}
