import { fakeQuantize, type Gpu, planAbsoluteMaximum } from "../../../../mod.ts";
import { absoluteMaximumOf, drawUniform } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { U } from "../../tolerance.ts";
import { account, numbersOf } from "./account.ts";

/**
 * Each output is the multiple of the scale nearest to the input, from −127 to 127 times the scale.
 */
export function fakeQuantizeMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "fakeQuantize vs twin", async function* (arena, tally) {
    for (const [rows, columns, given] of [[9, 70, undefined], [5, 71, 0.6], [3, 5, 0]] as const) {
      const input = drawUniform({ seed: columns, shape: [rows, columns] });
      // The maximum of 127 makes the first row's scale 1. So the next four numbers lie halfway
      // between two multiples of the scale, and round to the even multiple.
      if (given === undefined) input.data.set([127, 2.5, 3.5, -0.5, -1.5, 0]);
      const uploaded = arena.upload(input);
      const maximum = given === undefined ? undefined : arena.keep(gpu.tensor([given], [1]));
      const { output } = fakeQuantize(gpu, {
        input: uploaded,
        ...maximum === undefined ? {} : { maximum },
      });
      const actual = await numbersOf(arena, output);
      const expected = new Float64Array(actual.length);
      const bound = new Float64Array(actual.length);
      for (let i = 0; i < actual.length; i++) {
        const row = input.data.subarray(
          columns * Math.floor(i / columns),
          columns * Math.floor(i / columns) + columns,
        );
        const scale = (given ?? absoluteMaximumOf(row)) / 127;
        const whole = scale === 0 ? 0 : input.data[i]! / scale;
        expected[i] = scale * Math.max(-127, Math.min(127, roundHalfToEven(whole)));
        // If the fraction is closer to a half than 20 · 127 · U, rounding decides, and either
        // neighbor is right. Exact halves round to even.
        const fraction = Math.abs(whole - Math.trunc(whole));
        const torn = Math.abs(fraction - 0.5) < 20 * U * 127 && fraction !== 0.5;
        bound[i] = torn ? 1.01 * scale : 8 * U * Math.abs(expected[i]!);
      }
      tally.within("fakeQuantize", { actual, expected, bound });
      const { plan, maximum: found } = planAbsoluteMaximum(gpu, { input: uploaded });
      arena.keep(found);
      gpu.run(arena.keep(plan));
      tally.sameBits("absoluteMaximum", {
        actual: await found.read(),
        expected: [absoluteMaximumOf(input.data)],
      });
      found.write(Float32Array.of(1000));
      gpu.run(plan);
      tally.sameBits("absoluteMaximum after a larger one", {
        actual: await found.read(),
        expected: [1000],
      });
      yield;
    }
  });
}

function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}
