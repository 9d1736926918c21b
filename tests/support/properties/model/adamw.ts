import { type Gpu, planAdamW } from "../../../../mod.ts";
import { drawUniform } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { U } from "../../tolerance.ts";
import { account } from "./account.ts";

export function adamWMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "adamW vs twin", async function* (arena, tally) {
    for (const [shape, weightDecay] of [[[6, 4], 0.1], [[71], 0]] as const) {
      // float32 represents these, so 1 − β is the same on the CPU and the GPU.
      const [beta1, beta2, epsilon] = [0.9, 0.95, 1e-8].map(Math.fround) as [
        number,
        number,
        number,
      ];
      const start = drawUniform({ seed: 4, shape });
      const parameter = arena.upload(start);
      const zeros = () => arena.keep(gpu.tensor(new Float32Array(start.data.length), shape));
      const [firstMoment, secondMoment] = [zeros(), zeros()];
      const gradient = arena.keep(gpu.empty(shape));
      const step = arena.keep(gpu.empty([3]));
      const clipping = arena.keep(gpu.tensor([2, 0.5], [2]));
      const { plan } = planAdamW(gpu, {
        parameter,
        gradient,
        firstMoment,
        secondMoment,
        step,
        clipping,
        beta1,
        beta2,
        epsilon,
        weightDecay,
      });
      arena.keep(plan);
      const p = Float64Array.from(start.data);
      const m = new Float64Array(p.length), v = new Float64Array(p.length);
      for (let t = 1; t <= 3; t++) {
        const rate = Math.fround(0.01 * t);
        const corrections = [1 / (1 - beta1 ** t), 1 / (1 - beta2 ** t)];
        const drawn = drawUniform({ seed: 10 + t, shape });
        gradient.write(drawn.data);
        step.write(Float32Array.of(rate, ...corrections));
        gpu.run(plan);
        for (let i = 0; i < p.length; i++) {
          const g = 0.5 * drawn.data[i]!;
          m[i] = beta1 * m[i]! + (1 - beta1) * g;
          v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
          const update = m[i]! * corrections[0]! / (Math.sqrt(v[i]! * corrections[1]!) + epsilon);
          p[i] = p[i]! - rate * weightDecay * p[i]! - rate * update;
        }
      }
      // The bounds allow 20 roundings per step. The rates add up to 0.06, an update is below 1/√(1
      // − β₂) = √20 < 5, and parameters and moments are below 1.
      tally.within("adamW's parameter", {
        actual: await parameter.read(),
        expected: p,
        bound: p.map((x) => 3 * U * (2 * Math.abs(x) + 0.06 * 5 * 20)),
      });
      for (
        const [name, tensor, moment] of [["first", firstMoment, m], [
          "second",
          secondMoment,
          v,
        ]] as const
      ) {
        tally.within(`adamW's ${name} moment`, {
          actual: await tensor.read(),
          expected: moment,
          bound: moment.map(() => 6 * U * 0.5),
        });
      }
      yield;
    }
  });
}
