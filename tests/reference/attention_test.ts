/** Attention's values, with and without V-scale, with logits of any size, and with NaN. */
import * as reference from "../../src/reference/mod.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { distance, inner, norm } from "../support/vectors.ts";
import {
  type AttentionCase,
  attentionDescription,
  checkProperty,
  drawAttention,
  largestLogit,
  normal,
} from "./cases.ts";
import { run } from "./attention/run.ts";

const { attentionForward, attentionWeights, tensor } = reference;

Deno.test("attentionForward() gives the values of a case worked by hand", () => {
  // Two query heads share one key head. Row 1 has the logits 0 and log 3 in head 0, 0 and −log 3 in
  // head 1. So its weights are 1/4 and 3/4 in head 0, 3/4 and 1/4 in head 1.
  const query = tensor([1, 1, 1, -1], [1, 2, 2, 1]);
  const key = tensor([0, Math.log(3)], [1, 1, 2, 1]);
  const value = tensor([4, 8], [1, 1, 2, 1]);
  const { output, logSumExp } = attentionForward({ query, key, value });
  const near = (actual: Float64Array, wanted: number[]) =>
    assert(distance(actual, wanted) < 1e-14, `${actual} is not ${wanted}`);
  near(output.data, [4, 7, 4, 5]);
  near(logSumExp.data, [0, Math.log(4), -0, Math.log(4 / 3)]);
  near(attentionWeights({ query, key }).data, [1, 0, 1 / 4, 3 / 4, 1, 0, 3 / 4, 1 / 4]);
  // V-scale with C = 16 multiplies 4 by 16 / (16 + 16) = 1/2, and 8 by 64 / (64 + 16) = 4/5.
  const vScale = { constant: tensor([16], [1]), mode: "full" as const };
  near(attentionForward({ query, key, value, vScale }).output.data, [2, 5.3, 2, 3.1]);
  assertEquals(output.shape, [1, 2, 2, 1]);
  assertEquals(logSumExp.shape, [1, 2, 2]);
});

Deno.test("attentionForward() equals the sum over its weights and the definition of logSumExp", () => {
  checkProperty(attentionDescription, {
    seed: 101,
    runs: 200,
    check(description, tolerances) {
      const drawn = drawAttention(description);
      const { keyHeads, group, length, headDim } = description;
      const scale = drawn.scale ?? headDim ** -0.5;
      const weights = attentionWeights(drawn).data;
      const { output, logSumExp } = attentionForward(drawn);
      // A logit takes D operations, and each rounds by at most u = 2^-53 times the bound of the
      // largest logit. exp turns the sum of these errors into a relative error of the weight.
      const tolerance = 2 ** -53 * (headDim * (largestLogit(drawn) + 4) + 4 * length + 50);
      for (let row = 0; row < logSumExp.data.length; row++) {
        const t = row % length;
        const head = Math.floor(row / length);
        const keyHead = Math.floor(head / (keyHeads * group)) * keyHeads +
          Math.floor((head % (keyHeads * group)) / group);
        const a = weights.subarray(row * length, (row + 1) * length);
        const rowOf = (from: reference.ReferenceTensor, index: number) =>
          from.data.subarray(index * headDim, (index + 1) * headDim);
        const sum = new Float64Array(headDim);
        let total = 0, magnitude = 0;
        for (let j = 0; j < length; j++) {
          if (j > t) {
            assertEquals(a[j], 0);
            continue;
          }
          const logit = scale *
            inner(rowOf(drawn.query, row), rowOf(drawn.key, keyHead * length + j));
          // exp z_tj = a_tj exp(logSumExp_t), but exp z_tj may overflow, so compare the weights.
          tolerances.within(Math.abs(Math.exp(logit - logSumExp.data[row]!) - a[j]!), {
            tolerance,
            what: "weights",
          });
          const v = rowOf(drawn.value, keyHead * length + j);
          v.forEach((x, i) => sum[i]! += a[j]! * x);
          magnitude += a[j]! * norm(v);
          total += a[j]!;
        }
        tolerances.within(Math.abs(total - 1), { tolerance, what: "row sums" });
        tolerances.within(distance(rowOf(output, row), sum), {
          tolerance: tolerance * magnitude,
          what: "output",
        });
      }
    },
  });
});

Deno.test("attentionForward() stays finite where exp of a logit overflows", () => {
  const query = tensor([1, 1, 1], [1, 1, 3, 1]);
  const key = tensor([-1e4, 1e4, 1e4], [1, 1, 3, 1]);
  const value = tensor([1, 2, 4], [1, 1, 3, 1]);
  const { output, logSumExp } = attentionForward({ query, key, value });
  assertEquals([...output.data], [1, 2, 3]);
  assertEquals([...logSumExp.data], [-1e4, 1e4, 1e4 + Math.LN2]);
});

Deno.test("attentionForward() and attentionBackward() keep NaN and Inf in the rows that depend on them", () => {
  const shape = [2, 2, 6, 3];
  const clean: AttentionCase = {
    query: normal(shape, { seed: 1 }),
    key: normal(shape, { seed: 2 }),
    value: normal(shape, { seed: 3 }),
    constant: tensor([1, 2], [2]),
    outputGradient: normal(shape, { seed: 4 }),
    scale: undefined,
  };
  const wanted = run(clean, "full");
  // The bad element is at position 2 of 6 in head 1 of sequence 0. That head's rows are block 1.
  const block = 1, position = 2;
  const inBlock = (row: number) => Math.floor(row / 6) === block;
  for (const bad of [NaN, Infinity, -Infinity]) {
    for (const name of ["query", "key", "value", "outputGradient"] as const) {
      const dirty = { ...clean, [name]: tensor(clean[name].data, shape) };
      dirty[name].data[(block * 6 + position) * 3 + 1] = bad;
      const actual = run(dirty, "full");
      const mayDiffer = {
        query: (row: number) => row % 6 === position,
        key: (row: number) => row % 6 >= position,
        value: (row: number) => row % 6 >= position,
        outputGradient: () => false,
      }[name];
      for (const result of ["output", "logSumExp"] as const) {
        const width = result === "output" ? 3 : 1;
        wanted[result].data.forEach((x, i) => {
          const row = Math.floor(i / width);
          if (inBlock(row) && mayDiffer(row)) return;
          assertEquals(actual[result].data[i], x, `${name} ${bad}: ${result} row ${row}`);
        });
      }
      if (name !== "outputGradient") {
        const row = (block * 6 + position) * 3;
        const own = actual.output.data.subarray(row, row + 3);
        assert(own.some((x) => !Number.isFinite(x)) || name === "key", `${name} ${bad} vanished`);
      }
      // A NaN or infinity changes no gradient outside its head. Inside its head, it changes no
      // query gradient of an earlier row.
      for (const gradient of ["queryGradient", "keyGradient", "valueGradient"] as const) {
        const spoiled: number[] = [];
        wanted[gradient].data.forEach((x, i) => {
          const row = Math.floor(i / 3);
          const early = gradient === "queryGradient" && row % 6 < position;
          if (!inBlock(row) || early) {
            assertEquals(actual[gradient].data[i], x, `${name} ${bad}: ${gradient} row ${row}`);
          } else if (!Number.isFinite(actual[gradient].data[i])) spoiled.push(row);
        });
        const leaves = name === "value" && gradient === "valueGradient" ||
          name === "outputGradient" || name === "query";
        if (leaves) assert(spoiled.length > 0, `${name} ${bad} vanished from ${gradient}`);
      }
    }
  }
});
