/** Kernels that move and rotate heads agree with the float64 twin. */
import {
  type Gpu,
  mergeHeads,
  mergeProjections,
  rotaryAngles,
  splitHeads,
  splitProjections,
} from "../../../../mod.ts";
import * as parts from "../../../../src/reference/llama/parts.ts";
import { toTwin } from "../../attention/cases.ts";
import { cutHeads, drawUniform, type ModelNumbers } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { U } from "../../tolerance.ts";
import { account, numbersOf } from "./account.ts";

export function headsMatchTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "splitHeads and mergeHeads vs twin", async function* (arena, tally) {
    // The last case is so large that adapters that compute on the CPU compile its lengths into the
    // kernel.
    for (
      const [batch, heads, context, headDim] of [
        [2, 3, 11, 8],
        [1, 2, 5, 4],
        [2, 3, 171, 16],
      ] as const
    ) {
      const rows = drawUniform({ seed: heads, shape: [batch, context, heads * headDim] });
      const layout = { batch, heads, context, headDim, rope: undefined };
      const { output } = splitHeads(gpu, { input: arena.upload(rows), heads });
      tally.sameBits("splitHeads", {
        actual: await numbersOf(arena, output),
        expected: parts.splitHeads(toTwin(rows), layout).data,
      });
      const input = { data: rows.data, shape: [batch, heads, context, headDim] };
      const merged = mergeHeads(gpu, { input: arena.upload(input) });
      tally.sameBits("mergeHeads", {
        actual: await numbersOf(arena, merged.output),
        expected: parts.mergeHeads(toTwin(input), layout).data,
      });
      yield;
    }
  });
}

/** splitProjections rotates and moves; mergeProjections undoes both. */
export function projectionsMatchTwin(gpu: Gpu): Promise<Report> {
  return account(
    gpu,
    "splitProjections and mergeProjections vs twin",
    async function* (arena, tally) {
      for (
        const { batch, context, queryHeads, keyValueHeads, headDim, ropeBase } of [
          { batch: 2, context: 9, queryHeads: 4, keyValueHeads: 2, headDim: 16, ropeBase: 10_000 },
          { batch: 1, context: 67, queryHeads: 3, keyValueHeads: 1, headDim: 4, ropeBase: 50 },
          // This case is so large that adapters that compute on the CPU compile its lengths into
          // the kernel.
          { batch: 2, context: 171, queryHeads: 4, keyValueHeads: 2, headDim: 16, ropeBase: 50 },
        ]
      ) {
        const heads = queryHeads + 2 * keyValueHeads;
        const shape = [batch, context, heads * headDim];
        const projections = drawUniform({ seed: headDim, shape });
        const angles = arena.upload({
          data: rotaryAngles({ sequenceLength: context, headDim, base: ropeBase }),
          shape: [context, headDim],
        });
        const split = splitProjections(gpu, {
          projections: arena.upload(projections),
          queryHeads,
          keyValueHeads,
          angles,
        });
        const own = {
          query: { first: 0, heads: queryHeads, turned: true },
          key: { first: queryHeads, heads: keyValueHeads, turned: true },
          value: { first: queryHeads + keyValueHeads, heads: keyValueHeads, turned: false },
        };
        const gradients: Record<string, ModelNumbers> = {};
        for (const [name, { first, heads: count, turned }] of Object.entries(own)) {
          const cut = cutHeads(projections, { first, count, headDim, heads });
          const layout = {
            batch,
            context,
            heads: count,
            headDim,
            rope: turned ? { ropeBase } : undefined,
          };
          const expected = parts.splitHeads(toTwin(cut), layout).data;
          const actual = await numbersOf(arena, split[name as keyof typeof own]);
          if (turned) {
            // The numbers are below 1, so the two products, their sum and the table's entries each
            // err by about U at most.
            tally.within(`splitProjections' ${name}`, {
              actual,
              expected,
              bound: expected.map(() => 6 * U),
            });
          } else tally.sameBits(`splitProjections' ${name}`, { actual, expected });
          gradients[name] = {
            data: actual as Float32Array<ArrayBuffer>,
            shape: [batch, count, context, headDim],
          };
        }
        const { projectionsGradient } = mergeProjections(gpu, {
          queryGradient: arena.upload(gradients.query!),
          keyGradient: arena.upload(gradients.key!),
          valueGradient: arena.upload(gradients.value!),
          angles,
        });
        tally.within("mergeProjections brings back what splitProjections was given", {
          actual: await numbersOf(arena, projectionsGradient),
          expected: projections.data,
          bound: new Float64Array(projections.data.length).fill(16 * U),
        });
        yield;
      }
    },
  );
}
