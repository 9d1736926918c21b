import { type Gpu, swigluBackward, swigluForward } from "../../../../mod.ts";
import * as parts from "../../../../src/reference/llama/parts.ts";
import { toTwin } from "../../attention/cases.ts";
import { cutHeads, drawUniform, type ModelNumbers } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { FLUSH, U } from "../../tolerance.ts";
import { account, numbersOf } from "./account.ts";

/** SwiGLU forward and backward, including inputs at which the logistic function saturates. */
export function swigluMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "swiglu vs twin", async function* (arena, tally) {
    // The last case is so large that adapters that compute on the CPU compile its length into the
    // kernels.
    for (
      const [rows, columns, scale] of [[13, 20, 4], [9, 7, 30], [3, 4, 300], [205, 80, 4]] as const
    ) {
      const projections = drawUniform({ seed: rows, shape: [rows, 2 * columns], scale });
      const hiddenGradient = drawUniform({ seed: 2, shape: [rows, columns] });
      const half = (first: number): ModelNumbers =>
        cutHeads(projections, { first, count: 1, headDim: columns, heads: 2 });
      const twin = { gate: toTwin(half(0)), up: toTwin(half(1)) };
      const { hidden } = swigluForward(gpu, { projections: arena.upload(projections) });
      // σ takes an exponential, a sum and a division; then follow two products.
      const relative = (g: number) => U * (2 * (3 + 2 * Math.abs(g)) + 10);
      const expected = parts.swigluForward(twin).data;
      tally.within("swigluForward", {
        actual: await numbersOf(arena, hidden),
        expected,
        bound: expected.map((x, i) =>
          relative(twin.gate.data[i]!) * Math.abs(x) + scale ** 2 * FLUSH
        ),
      });
      const { projectionsGradient } = swigluBackward(gpu, {
        projections: arena.upload(projections),
        hiddenGradient: arena.upload(hiddenGradient),
      });
      const gradients = parts.swigluBackward({ ...twin, outputGradient: toTwin(hiddenGradient) });
      const all = await numbersOf(arena, projectionsGradient);
      const actual = (first: number) =>
        cutHeads({ data: all as Float32Array<ArrayBuffer>, shape: projections.shape }, {
          first,
          count: 1,
          headDim: columns,
          heads: 2,
        }).data;
      tally.within("swigluBackward's gate", {
        actual: actual(0),
        expected: gradients.gateGradient.data,
        bound: gradients.gateGradient.data.map((_, i) => {
          const [g, u, h] = [twin.gate.data[i]!, twin.up.data[i]!, hiddenGradient.data[i]!];
          const s = 1 / (1 + Math.exp(-g));
          // The gradient is h u s (1 + g (1 − s)): 1 − s has the error of s, and g multiplies it.
          return Math.abs(h * u) * s * (1 + Math.abs(g)) * (relative(g) + 4 * U) +
            1e3 * scale ** 2 * FLUSH;
        }),
      });
      tally.within("swigluBackward's up", {
        actual: actual(1),
        expected: gradients.upGradient.data,
        bound: gradients.upGradient.data.map((x, i) =>
          relative(twin.gate.data[i]!) * Math.abs(x) + scale ** 2 * FLUSH
        ),
      });
      yield;
    }
  });
}
