/** The norms of query and key heads agree with the twin's RMSNorm. */
import type { Gpu } from "../../../../mod.ts";
import { planHeadNormBackward, planHeadNormForward } from "../../../../src/ops/model/head_norm.ts";
import { rmsNormBackward, rmsNormForward } from "../../../../src/reference/rms_norm.ts";
import { toTwin } from "../../attention/cases.ts";
import { cutHeads, drawUniform, type ModelNumbers } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { FLUSH, U } from "../../tolerance.ts";
import { account, numbersOf } from "./account.ts";

const EPSILON = 1e-3; // large enough to matter

/**
 * Ordinary numbers, and numbers whose squares are 0, subnormal, near the largest float32, or
 * infinite.
 */
const SCALES = [2, 1e-30, 1e-20, 1e19, 8e37];

interface HeadPart {
  readonly first: number;
  readonly count: number;
  readonly gain: ModelNumbers | undefined;
}

export function headNormMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "headNorm vs twin", async function* (arena, tally) {
    for (
      const { batch, context, queryHeads, keyValueHeads, headDim } of [
        { batch: 2, context: 9, queryHeads: 4, keyValueHeads: 2, headDim: 16 },
        { batch: 1, context: 67, queryHeads: 3, keyValueHeads: 1, headDim: 4 },
      ]
    ) {
      const heads = queryHeads + 2 * keyValueHeads;
      const shape = [batch, context, heads * headDim];
      for (const scale of headDim === 4 ? SCALES : SCALES.slice(0, 1)) {
        const projections = drawUniform({ seed: headDim, shape, scale });
        const epsilon = scale === 2 ? EPSILON : 0;
        const gradient = drawUniform({ seed: headDim + 1, shape });
        const [queryGain, keyGain] = [1, 2].map((seed) =>
          drawUniform({ seed, shape: [headDim], scale: 0.5, mean: seed })
        ) as [ModelNumbers, ModelNumbers];
        const options = {
          projections: arena.upload(projections),
          queryHeads,
          keyValueHeads,
          queryGain: arena.upload(queryGain),
          keyGain: arena.upload(keyGain),
        };
        const forward = planHeadNormForward(gpu, { ...options, epsilon });
        const backward = planHeadNormBackward(gpu, {
          ...options,
          inverseRms: arena.keep(forward.inverseRms),
          outputGradient: arena.upload(gradient),
        });
        gpu.run([arena.keep(forward.plan), arena.keep(backward.plan)]);
        const found = {
          output: { data: await numbersOf(arena, forward.output), shape } as ModelNumbers,
          gradient: {
            data: await numbersOf(arena, backward.projectionsGradient),
            shape,
          } as ModelNumbers,
        };
        const parts: Readonly<Record<string, HeadPart>> = {
          query: { first: 0, count: queryHeads, gain: queryGain },
          key: { first: queryHeads, count: keyValueHeads, gain: keyGain },
          value: { first: queryHeads + keyValueHeads, count: keyValueHeads, gain: undefined },
        };
        for (const [name, { first, count, gain }] of Object.entries(parts)) {
          const cut = (numbers: ModelNumbers) => {
            const { data } = cutHeads(numbers, { first, count, headDim, heads });
            return { data, shape: [data.length / headDim, headDim] };
          };
          const [given, by] = [cut(projections), cut(gradient)];
          const actual = { output: cut(found.output).data, gradient: cut(found.gradient).data };
          if (gain === undefined) {
            tally.sameBits(`${name}'s output`, { actual: actual.output, expected: given.data });
            tally.sameBits(`${name}'s gradient`, { actual: actual.gradient, expected: by.data });
            continue;
          }
          const twin = { input: toTwin(given), gain: toTwin(gain) };
          const { output, inverseRms } = rmsNormForward({ ...twin, epsilon });
          // The mean of squares is a chain of D/4 + 2 additions, a product and the addition of ε.
          // The square root halves the mean's relative error and adds 4 U. Two products follow.
          const root = (headDim / 4 + 6) / 2 + 4;
          tally.within(`${name}'s output`, {
            actual: actual.output,
            expected: output.data,
            bound: output.data.map((y) => (root + 3) * U * Math.abs(y) + FLUSH),
          });
          const { inputGradient } = rmsNormBackward({
            ...twin,
            inverseRms,
            outputGradient: toTwin(by),
          });
          // The gradient is (u − x̂ mean(u x̂)) / r with u = gain ⊙ outputGradient and x̂ = x/r. x̂
          // and 1/r have the relative error bounded above. The mean adds the products u x̂ in a
          // chain of D/4 + 3 additions.
          const bound = inputGradient.data.map((_, i) => {
            const row = Math.floor(i / headDim);
            const start = row * headDim;
            const inverse = inverseRms.data[row]!;
            let magnitude = 0;
            for (let c = 0; c < headDim; c++) {
              magnitude += Math.abs(gain.data[c]! * by.data[start + c]! * given.data[start + c]!);
            }
            const mean = magnitude * inverse / headDim;
            const u = Math.abs(gain.data[i % headDim]! * by.data[i]!);
            const normalized = Math.abs(given.data[i]!) * inverse;
            return U * inverse *
                ((root + 4) * u + normalized * mean * (headDim / 4 + 3 * root + 12)) + FLUSH;
          });
          tally.within(`${name}'s gradient`, {
            actual: actual.gradient,
            expected: inputGradient.data,
            bound,
          });
        }
        yield;
      }
    }
  });
}
