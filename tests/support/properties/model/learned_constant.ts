import { type Gpu, learnedConstantBackward, learnedConstantForward } from "../../../../mod.ts";
import { drawUniform } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { U } from "../../tolerance.ts";
import { account, numbersOf } from "./account.ts";

/** V-scale's constant C = base · exp(θ) and the gradient of θ, C times that of C, are right. */
export function learnedConstantMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "learnedConstant vs twin", async function* (arena, tally) {
    for (const heads of [3, 67]) {
      const theta = drawUniform({ seed: heads, shape: [heads], scale: 3 });
      const constantGradient = drawUniform({ seed: 1, shape: [heads] });
      const base = Math.fround(1.64);
      const { constant } = learnedConstantForward(gpu, { theta: arena.upload(theta), base });
      const actual = await numbersOf(arena, constant);
      const expected = Float64Array.from(theta.data, (x) => base * Math.exp(x));
      tally.within("learnedConstantForward", {
        actual,
        expected,
        bound: expected.map((c, i) => U * (2 * (3 + 2 * Math.abs(theta.data[i]!)) + 1) * c),
      });
      const { thetaGradient } = learnedConstantBackward(gpu, {
        constant: arena.upload({ data: actual as Float32Array<ArrayBuffer>, shape: [heads] }),
        constantGradient: arena.upload(constantGradient),
      });
      tally.sameBits("learnedConstantBackward", {
        actual: await numbersOf(arena, thetaGradient),
        expected: actual.map((c, i) => Math.fround(c * constantGradient.data[i]!)),
      });
      yield;
    }
  });
}
