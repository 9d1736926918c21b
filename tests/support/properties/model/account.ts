/**
 * Shared code of the properties of a model's operators. The bounds in these properties follow
 * ../../tolerance.ts: the rounding errors that the WGSL specification allows, along the kernels'
 * chains of operations.
 */
import type { Gpu, Tensor } from "../../../../mod.ts";
import { Arena } from "../../on_gpu.ts";
import { type Report, Tally } from "../../report.ts";

/** Runs `check`, which yields after each case, and returns the report of its comparisons. */
export async function account(
  gpu: Gpu,
  name: string,
  check: (arena: Arena, tally: Tally) => AsyncGenerator<void>,
): Promise<Report> {
  const tally = new Tally();
  let cases = 0;
  using arena = new Arena(gpu);
  for await (const _ of check(arena, tally)) cases++;
  await gpu.sync();
  return tally.report(name, cases);
}

/** Reads a tensor; the arena frees it. */
export async function numbersOf(arena: Arena, tensor: Tensor): Promise<Float32Array> {
  return await arena.keep(tensor).read();
}
