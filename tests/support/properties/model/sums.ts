/** Additions, copies and sums agree with float32 and float64. */
import {
  accumulate,
  add,
  type Gpu,
  planCopy,
  planGradientNorm,
  sum,
  type Tensor,
} from "../../../../mod.ts";
import { planAddBias } from "../../../../src/ops/arithmetic/add_bias.ts";
import { drawUniform, type ModelNumbers, oddShapes } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { U } from "../../tolerance.ts";
import { account, numbersOf } from "./account.ts";

/** add, accumulate and addBias have the bits of float32 sums, and copy keeps bits. */
export function additionsMatchFloat32(gpu: Gpu): Promise<Report> {
  return account(
    gpu,
    "add, accumulate, addBias and copy vs float32",
    async function* (arena, tally) {
      for (const shape of oddShapes) {
        const [a, b, c] = [1, 2, 3].map((seed) => drawUniform({ seed, shape })) as [
          ModelNumbers,
          ModelNumbers,
          ModelNumbers,
        ];
        const two = a.data.map((x, i) => Math.fround(x + b.data[i]!));
        const terms = [a, b, c].map((numbers) => arena.upload(numbers)) as [Tensor, Tensor, Tensor];
        tally.sameBits("add of two", {
          actual: await numbersOf(arena, add(gpu, { terms: [terms[0], terms[1]] }).sum),
          expected: two,
        });
        tally.sameBits("add of three", {
          actual: await numbersOf(arena, add(gpu, { terms }).sum),
          expected: two.map((x, i) => Math.fround(x + c.data[i]!)),
        });
        const width = shape.at(-1)!;
        const bias = drawUniform({ seed: 4, shape: [width] });
        const biased = planAddBias(gpu, { input: terms[0], bias: arena.upload(bias) });
        gpu.run(arena.keep(biased.plan));
        tally.sameBits("addBias", {
          actual: await numbersOf(arena, biased.output),
          expected: a.data.map((x, i) => Math.fround(x + bias.data[i % width]!)),
        });
        accumulate(gpu, { term: terms[0], total: terms[1] });
        tally.sameBits("accumulate", { actual: await terms[1].read(), expected: two });
        const { length } = a.data;
        const copied = length - Math.floor(length / 2);
        gpu.run(
          arena.keep(
            planCopy(gpu, {
              source: terms[0],
              sourceStart: Math.floor(length / 2),
              copied: terms[2],
              copiedStart: 1 % copied,
              length: copied - 1 % copied,
            }).plan,
          ),
        );
        const expected = c.data.slice();
        const start = Math.floor(length / 2);
        expected.set(a.data.subarray(start, start + copied - 1 % copied), 1 % copied);
        tally.sameBits("copy", { actual: await terms[2].read(), expected });
        yield;
      }
    },
  );
}

export function sumsMatchTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "sum and gradientNorm vs twin", async function* (arena, tally) {
    for (const lengths of [[1], [200, 3], [4097, 4096, 70]]) {
      const drawn = lengths.map((length, seed) =>
        drawUniform({ seed, shape: [length], mean: 0.3 })
      );
      const tensors = drawn.map((numbers) => arena.upload(numbers));
      const first = drawn[0]!.data;
      tally.within("sum", {
        actual: await numbersOf(arena, sum(gpu, { input: tensors[0]!, factor: 0.5 }).total),
        expected: [0.5 * first.reduce((total, x) => total + x, 0)],
        bound: [U * (first.length / 64 + 66) * first.reduce((total, x) => total + Math.abs(x), 0)],
      });
      let squares = 0;
      for (const { data } of drawn) for (const x of data) squares += x * x;
      const norm = Math.sqrt(squares);
      for (const maximum of [0.5 * norm, 2 * norm]) {
        const { plan, clipping } = planGradientNorm(gpu, { gradients: tensors, maximum });
        gpu.run(arena.keep(plan));
        tally.within("gradientNorm", {
          actual: await numbersOf(arena, clipping),
          expected: [norm, Math.min(1, maximum / norm)],
          bound: [300 * U * norm, 300 * U],
        });
      }
      yield;
    }
  });
}
