import * as reference from "../../src/reference/mod.ts";
import { differingBits } from "../support/rows/identities.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { distance, inner, norm } from "../support/vectors.ts";
import {
  type AttentionCase,
  type AttentionDescription,
  attentionDescription,
  checkProperty,
  drawAttention,
  largestLogit,
  normal,
} from "./cases.ts";
import { SharpComparisons } from "./sharp_comparisons.ts";

const { attentionForward, attentionBackward, attentionWeights, tensor } = reference;
type Mode = "full" | "backward-only" | undefined;

/** Forward and backward of a case. */
function run(drawn: AttentionCase, mode?: Mode) {
  const vScale = mode && { constant: drawn.constant, mode };
  const forward = attentionForward({ ...drawn, vScale });
  return { ...forward, ...attentionBackward({ ...drawn, ...forward, vScale }) };
}

Deno.test("attentionForward() gives the values of a case worked by hand", () => {
  // Two query heads share one key head. Row 1's logits are 0 and ±log 3, its weights 1/4, 3/4 and
  // 3/4, 1/4.
  const query = tensor([1, 1, 1, -1], [1, 2, 2, 1]);
  const key = tensor([0, Math.log(3)], [1, 1, 2, 1]);
  const value = tensor([4, 8], [1, 1, 2, 1]);
  const { output, logSumExp } = attentionForward({ query, key, value });
  const near = (actual: Float64Array, wanted: number[]) =>
    assert(distance(actual, wanted) < 1e-14, `${actual} is not ${wanted}`);
  near(output.data, [4, 7, 4, 5]);
  near(logSumExp.data, [0, Math.log(4), -0, Math.log(4 / 3)]);
  near(attentionWeights({ query, key }).data, [1, 0, 1 / 4, 3 / 4, 1, 0, 3 / 4, 1 / 4]);
  // V-scale with C = 16: φ(16) = 1/2 and φ(64) = 4/5.
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
      // Each logit's D operations round by at most u |z| each; exp turns that into a relative
      // error.
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

Deno.test("attentionBackward() agrees with finite differences in random directions", () => {
  const pinned: AttentionDescription = {
    batch: 2,
    keyHeads: 2,
    group: 3,
    length: 7,
    headDim: 5,
    pattern: "sink",
    seed: 77,
    scale: undefined,
  };
  const comparisons = new SharpComparisons();
  checkProperty(attentionDescription, {
    seed: 102,
    runs: 300,
    examples: [pinned],
    check(description, tolerances) {
      const drawn = drawAttention(description);
      const { outputGradient, scale } = drawn;
      const at = {
        query: drawn.query,
        key: drawn.key,
        value: drawn.value,
        constant: drawn.constant,
      };
      for (const mode of [undefined, "full"] as const) {
        const gradients = run(drawn, mode);
        const loss = ({ constant, ...tensors }: typeof at) => {
          const vScale = mode && { constant, mode };
          return inner(
            attentionForward({ ...tensors, scale, vScale }).output.data,
            outputGradient.data,
          );
        };
        for (const name of ["query", "key", "value", "constant"] as const) {
          const gradient = gradients[`${name}Gradient`];
          if (gradient === undefined) {
            assertEquals([name, mode], ["constant", undefined]);
            continue;
          }
          const unscaled = normal(at[name].shape, { seed: description.seed + 9 });
          const longest = norm(unscaled.data);
          // A step of 1 along the direction moves values by a quarter of their size and logits by
          // about 1, and keeps constants positive.
          const size = norm(at[name].data) / longest /
            (name === "value" ? 4 : largestLogit(drawn));
          const reach = name === "constant" ? Math.min(...at.constant.data) / 40 : size;
          const direction = tensor(unscaled.data.map((x) => x * reach), unscaled.shape);
          const estimate = reference.directionalDerivative(loss, {
            at,
            direction: { [name]: direction },
            step: 1,
          });
          // The twin's own rounding of the loss's terms, which `compare` adds to the tolerance.
          const magnitude = norm(outputGradient.data) * norm(at.value.data);
          const floor = 2 ** -53 * (200 + description.headDim * largestLogit(drawn)) * magnitude;
          comparisons.compare(tolerances, {
            what: `${name}${mode ? ` (${mode})` : ""}`,
            gradient: gradient.data,
            direction: direction.data,
            estimate,
            floor,
            counts: description.length !== 1 && description.pattern !== "huge logits",
          });
        }
      }
    },
  });
  // With T = 1 or a saturated softmax, query and key gradients vanish, and a comparison shows
  // nothing. In most other cases, a comparison must detect a millionth of the gradient.
  comparisons.assertSharp(7);
});

Deno.test("attentionBackward() in mode backward-only is the derivative of sg(v) + φ(v) − sg(φ(v))", () => {
  checkProperty(attentionDescription, {
    seed: 103,
    runs: 200,
    check(description, tolerances) {
      const drawn = drawAttention(description);
      const { value, constant, outputGradient } = drawn;
      const plain = run(drawn);
      const gradients = run(drawn, "backward-only");
      // The forward pass, and so the query and key gradients, has the same bits as without V-scale.
      for (const name of ["output", "logSumExp", "queryGradient", "keyGradient"] as const) {
        assertEquals(differingBits(gradients[name].data, plain[name].data).worst, 0, name);
      }
      // The value path applies J_φ(v) to the plain gradient.
      const throughValve = reference.vScaleBackward({
        value,
        constant,
        scaledValueGradient: plain.valueGradient,
      });
      assertEquals(gradients.valueGradient, throughValve.valueGradient);
      assertEquals(gradients.constantGradient, throughValve.constantGradient);
      // Both gradients, by value and by constant, agree with finite differences of the definition:
      // with stop-gradients, a step of v or C changes v̂ only by the change of φ(v).
      const still = reference.vScaleForward({ value, constant }).scaledValue.data;
      const loss = (
        at: { value: reference.ReferenceTensor; constant: reference.ReferenceTensor },
      ) => {
        const { data } = reference.vScaleForward(at).scaledValue;
        const moved = tensor(data.map((x, i) => value.data[i]! + x - still[i]!), value.shape);
        return inner(attentionForward({ ...drawn, value: moved }).output.data, outputGradient.data);
      };
      const at = { value, constant };
      for (const name of ["value", "constant"] as const) {
        const unscaled = normal(at[name].shape, { seed: description.seed + 9 });
        const reach = name === "value"
          ? norm(value.data) / norm(unscaled.data) / 4
          : Math.min(...constant.data) / 40;
        const direction = tensor(unscaled.data.map((x) => x * reach), unscaled.shape);
        const estimate = reference.directionalDerivative(loss, {
          at,
          direction: { [name]: direction },
          step: 1,
        });
        const exact = inner(gradients[`${name}Gradient`]!.data, direction.data);
        const magnitude = norm(outputGradient.data) * norm(value.data);
        tolerances.within(Math.abs(estimate.value - exact), {
          tolerance: 10 * estimate.error + 2 ** -53 * 200 * magnitude,
          what: `${name} (backward-only)`,
        });
        assert(norm(gradients[`${name}Gradient`]!.data) > 0);
      }
    },
  });
});

Deno.test("attentionBackward() agrees with complex steps in the last row", () => {
  checkProperty(attentionDescription, {
    seed: 104,
    runs: 150,
    check(description, tolerances) {
      const { length, headDim, seed } = description;
      const drawn = drawAttention({ ...description, batch: 1, keyHeads: 1, group: 1 });
      const scale = drawn.scale ?? headDim ** -0.5;
      // Only the last row has a gradient, so the derivative involves only its softmax.
      const last = (length - 1) * headDim;
      drawn.outputGradient.data.fill(0, 0, last);
      const cotangent = drawn.outputGradient.data.subarray(last);
      const gradients = run(drawn);
      const tokens = (data: Float64Array) =>
        Array.from({ length }, (_, j) => data.subarray(j * headDim, (j + 1) * headDim));
      for (const name of ["query", "key", "value"] as const) {
        const direction = normal(drawn[name].shape, { seed: seed + 9 }).data;
        if (name === "query") direction.fill(0, 0, last);
        const derivative = reference.complexStepDerivative((h) => {
          const move = (other: "query" | "key" | "value") => {
            const directions = other === name ? tokens(direction) : [];
            return tokens(drawn[other].data).map((row, j) =>
              reference.moveComplex(row, { direction: directions[j], h })
            );
          };
          const output = reference.complexNumbers.attentionRow(move("query")[length - 1]!, {
            keys: move("key"),
            values: move("value"),
            scale,
          });
          return {
            re: 0,
            im: output.reduce((sum, y, i) => sum + y.im * cotangent[i]!, 0),
          };
        });
        const { query, key, value } = drawn;
        const size = name === "value"
          ? norm(direction)
          : 2 * Math.abs(scale) * norm(value.data) * norm(direction) *
            norm((name === "query" ? key : query).data);
        // Complex steps subtract nothing: only rounding remains, including that of the logits
        // inside exp.
        tolerances.within(
          Math.abs(derivative - inner(gradients[`${name}Gradient`].data, direction)),
          {
            tolerance: 2 ** -53 * (4 * length + headDim * (8 + largestLogit(drawn)) + 50) * size *
              norm(cotangent),
            what: name,
          },
        );
      }
    },
  });
});

Deno.test("attentionForward() and attentionBackward() treat shared key heads like repeated ones", () => {
  checkProperty(attentionDescription, {
    seed: 105,
    runs: 100,
    check(description, tolerances) {
      const { batch, keyHeads, group, length, headDim } = description;
      const drawn = drawAttention(description);
      const block = length * headDim;
      const repeat = ({ data }: reference.ReferenceTensor) => {
        const repeated = reference.zeros([batch, keyHeads * group, length, headDim]);
        for (let head = 0; head < batch * keyHeads * group; head++) {
          const from = Math.floor(head / group) * block;
          repeated.data.set(data.subarray(from, from + block), head * block);
        }
        return repeated;
      };
      const shared = run(drawn);
      const separate = run({ ...drawn, key: repeat(drawn.key), value: repeat(drawn.value) });
      for (const name of ["output", "logSumExp", "queryGradient"] as const) {
        assertEquals(shared[name], separate[name], name);
      }
      for (const name of ["keyGradient", "valueGradient"] as const) {
        const sum = new Float64Array(shared[name].data.length);
        separate[name].data.forEach((x, i) => {
          sum[Math.floor(i / (block * group)) * block + i % block]! += x;
        });
        // The same terms are added in another order; `largest` bounds their size.
        const largest = norm(drawn.outputGradient.data) *
          (name === "valueGradient"
            ? 1
            : 2 * Math.abs(drawn.scale ?? headDim ** -0.5) * norm(drawn.value.data) *
              norm(drawn.query.data));
        tolerances.within(distance(shared[name].data, sum), {
          tolerance: 2 ** -53 * length * group * largest,
          what: name,
        });
      }
    },
  });
});

Deno.test("attentionForward() and attentionBackward() are causal bit for bit", () => {
  let cases = 0, reached = 0;
  checkProperty(attentionDescription, {
    seed: 106,
    runs: 150,
    check(description) {
      const drawn = drawAttention(description);
      const { length, headDim } = description;
      const before = run(drawn, "full");
      const changed = drawAttention(description);
      const from = Math.floor(length / 2) + 1;
      const later = (i: number) => Math.floor(i / headDim) % length >= from;
      for (const { data } of [changed.key, changed.value]) {
        data.forEach((x, i) => data[i] = later(i) ? 3 * x + 1 : x);
      }
      const after = run(changed, "full");
      const early = ({ data, shape }: reference.ReferenceTensor) =>
        data.filter((_, i) => Math.floor(i / (shape.length === 4 ? headDim : 1)) % length < from);
      for (const name of ["output", "logSumExp", "queryGradient"] as const) {
        assertEquals(differingBits(early(after[name]), early(before[name])).worst, 0, name);
      }
      cases += from < length ? 1 : 0;
      reached += differingBits(after.output.data, before.output.data).worst;
    },
  });
  // The change must reach later rows, unless all their weight lies on unchanged keys.
  assert(
    cases > 50 && reached > 0.9 * cases,
    `it reached the later rows in ${reached} of ${cases}`,
  );
});

Deno.test("attentionForward() does not change under a shift of all keys", () => {
  checkProperty(attentionDescription, {
    seed: 107,
    runs: 150,
    check(description, tolerances) {
      const drawn = drawAttention(description);
      const { headDim, seed, keyHeads, group, length } = description;
      const shift = normal([headDim], { seed: seed + 9, size: 3 }).data;
      const key = tensor(drawn.key.data.map((x, i) => x + shift[i % headDim]!), drawn.key.shape);
      const before = attentionForward(drawn);
      const after = attentionForward({ ...drawn, key });
      const scale = drawn.scale ?? headDim ** -0.5;
      const logit = largestLogit({ ...drawn, key }) + largestLogit(drawn) + 1;
      const tolerance = 2 ** -53 * headDim * 8 * (logit + length + 10);
      tolerances.within(distance(after.output.data, before.output.data), {
        tolerance: tolerance * norm(drawn.value.data) * Math.sqrt(keyHeads * group * length),
        what: "output",
      });
      before.logSumExp.data.forEach((lse, row) => {
        const moved = scale * inner(
          drawn.query.data.subarray(row * headDim, (row + 1) * headDim),
          shift,
        );
        tolerances.within(Math.abs(after.logSumExp.data[row]! - lse - moved), {
          tolerance,
          what: "logSumExp",
        });
      });
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
  // Head 1 of sequence 0 is the second block of rows; position 2 of 6.
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
      // A NaN or infinity changes no gradient outside the head, and no query gradient of an earlier
      // row inside it.
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
