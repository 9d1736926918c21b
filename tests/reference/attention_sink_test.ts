/**
 * Learned sinks, and losses that depend on logSumExp, in the float64 twin: a case worked by hand,
 * finite differences, the statements S1 to S6, NaN and wrong input.
 */
import * as reference from "../../src/reference/mod.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { differingBits } from "../support/rows/identities.ts";
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

interface SinkCase extends AttentionCase {
  readonly sinkLogit: reference.ReferenceTensor;
  readonly logSumExpGradient: reference.ReferenceTensor;
}

/** A case with a sink for each query head and a gradient for each logSumExp. */
function drawSinks(description: AttentionDescription): SinkCase {
  const { batch, keyHeads, group, length, seed } = description;
  const heads = keyHeads * group;
  return {
    ...drawAttention(description),
    sinkLogit: normal([heads], { seed: seed + 5, size: 2 }),
    logSumExpGradient: normal([batch, heads, length], { seed: seed + 6 }),
  };
}

Deno.test("attentionForward() with a sink gives the values of a case worked by hand", () => {
  // Row 0 has logit 0, row 1 logits 0 and log 3. With a sink of log 2 the weights are 1/3; 1/6,
  // 3/6. With a sink of 0 they are 1/2; 1/5, 3/5.
  const query = tensor([1, 1, 1, 1], [1, 2, 2, 1]);
  const key = tensor([0, Math.log(3)], [1, 1, 2, 1]);
  const value = tensor([4, 8], [1, 1, 2, 1]);
  const sinkLogit = tensor([Math.log(2), 0], [2]);
  const near = (actual: Float64Array, wanted: number[]) =>
    assert(distance(actual, wanted) < 1e-14, `${actual} is not ${wanted}`);
  const forward = attentionForward({ query, key, value, sinkLogit });
  near(forward.output.data, [4 / 3, 14 / 3, 2, 28 / 5]);
  near(forward.logSumExp.data, [3, 6, 2, 5].map(Math.log));
  near(attentionWeights({ query, key, sinkLogit }).data, [
    1 / 3,
    0,
    1 / 6,
    1 / 2,
    1 / 2,
    0,
    0.2,
    0.6,
  ]);
  // The sinks' shares b are 2/3, 1/3 and 1/2, 1/5. g = 1, so D = ⟨g, y⟩ is the output. ∂L/∂s =
  // Σ b (ℓ − D), where ℓ = ∂L/∂logSumExp.
  const outputGradient = tensor([1, 1, 1, 1], [1, 2, 2, 1]);
  const logSumExpGradient = tensor([1, 0, 0, 5], [1, 2, 2]);
  const inputs = { query, key, value, sinkLogit, ...forward, outputGradient };
  near(attentionBackward(inputs).sinkLogitGradient!.data, [-8 / 9 - 14 / 9, -1 - 28 / 25]);
  near(
    attentionBackward({ ...inputs, logSumExpGradient }).sinkLogitGradient!.data,
    [2 / 3 - 8 / 9 - 14 / 9, -1 + 1 - 28 / 25],
  );
});

Deno.test("S2: attentionBackward() with sinks agrees with finite differences, also for a loss of logSumExp", () => {
  const comparisons = new SharpComparisons();
  checkProperty(attentionDescription, {
    seed: 111,
    runs: 200,
    check(description, tolerances) {
      const drawn = drawSinks(description);
      const { outputGradient, logSumExpGradient, scale } = drawn;
      const { query, key, value, constant, sinkLogit } = drawn;
      const at = { query, key, value, constant, sinkLogit };
      for (const mode of [undefined, "full"] as const) {
        const inputs = { query, key, value, sinkLogit, scale, vScale: mode && { constant, mode } };
        const forward = attentionForward(inputs);
        const gradients = attentionBackward({
          ...inputs,
          ...forward,
          outputGradient,
          logSumExpGradient,
        });
        const loss = ({ constant, ...tensors }: typeof at) => {
          const { output, logSumExp } = attentionForward({
            ...tensors,
            scale,
            vScale: mode && { constant, mode },
          });
          return inner(output.data, outputGradient.data) +
            inner(logSumExp.data, logSumExpGradient.data);
        };
        for (const name of ["query", "key", "value", "constant", "sinkLogit"] as const) {
          const gradient = gradients[`${name}Gradient`];
          if (gradient === undefined) {
            assertEquals([name, mode], ["constant", undefined]);
            continue;
          }
          const unscaled = normal(at[name].shape, { seed: description.seed + 9 });
          const reach = {
            query: norm(query.data) / norm(unscaled.data) / largestLogit(drawn),
            key: norm(key.data) / norm(unscaled.data) / largestLogit(drawn),
            value: norm(value.data) / norm(unscaled.data) / 4,
            constant: Math.min(...constant.data) / 40,
            sinkLogit: 1,
          }[name];
          const direction = tensor(unscaled.data.map((x) => x * reach), unscaled.shape);
          const estimate = reference.directionalDerivative(loss, {
            at,
            direction: { [name]: direction },
            step: 1,
          });
          // The twin's own rounding of the loss's terms, which `compare` adds to the tolerance.
          const magnitude = norm(outputGradient.data) * norm(value.data) +
            norm(logSumExpGradient.data) * norm(forward.logSumExp.data);
          const floor = 2 ** -53 * (200 + description.headDim * largestLogit(drawn)) * magnitude;
          comparisons.compare(tolerances, {
            what: `${name}${mode ? ` (${mode})` : ""}`,
            gradient: gradient.data,
            direction: direction.data,
            estimate,
            floor,
            counts: description.pattern !== "huge logits",
          });
        }
      }
    },
  });
  comparisons.assertSharp(9);
});

Deno.test("S1, S3: with sinks, rows of weights sum to 1 − b_t, and rows of ∂L/∂z to b_t D_t + (1 − b_t) ℓ_t", () => {
  checkProperty(attentionDescription, {
    seed: 112,
    runs: 200,
    check(description, tolerances) {
      const drawn = drawSinks(description);
      const { length, headDim, keyHeads, group } = description;
      const weights = attentionWeights(drawn).data;
      const { output, logSumExp } = attentionForward(drawn);
      const tolerance = 2 ** -53 * (headDim * (largestLogit(drawn) + 4) + 4 * length + 50);
      logSumExp.data.forEach((L, row) => {
        const head = Math.floor(row / length);
        const b = Math.exp(drawn.sinkLogit.data[head % (keyHeads * group)]! - L);
        const a = weights.subarray(row * length, (row + 1) * length);
        const total = a.reduce((sum, x) => sum + x, 0);
        tolerances.within(Math.abs(total + b - 1), { tolerance, what: "weights" });
        const keyHead = Math.floor(head / (keyHeads * group)) * keyHeads +
          Math.floor((head % (keyHeads * group)) / group);
        const g = drawn.outputGradient.data.subarray(row * headDim, (row + 1) * headDim);
        const D = inner(g, output.data.subarray(row * headDim, (row + 1) * headDim));
        const ofLogSumExp = drawn.logSumExpGradient.data[row]!;
        let sum = 0, magnitude = Math.abs(D) + Math.abs(ofLogSumExp);
        for (let j = 0; j <= row % length; j++) {
          const start = (keyHead * length + j) * headDim;
          const v = drawn.value.data.subarray(start, start + headDim);
          sum += a[j]! * (inner(g, v) - D + ofLogSumExp);
          magnitude += norm(g) * norm(v);
        }
        tolerances.within(Math.abs(sum - b * D - (1 - b) * ofLogSumExp), {
          tolerance: tolerance * magnitude,
          what: "rows of ∂L/∂z",
        });
      });
    },
  });
});

Deno.test("S4: with sinks the first query's gradient is scale a_00 ((1 − a_00) ⟨g_0, v_0⟩ + ℓ_0) k_0", () => {
  checkProperty(attentionDescription, {
    seed: 113,
    runs: 200,
    check(description, tolerances) {
      const drawn = drawSinks(description);
      const { length, headDim, keyHeads, group } = description;
      const scale = drawn.scale ?? headDim ** -0.5;
      const { queryGradient } = attentionBackward({ ...drawn, ...attentionForward(drawn) });
      const weights = attentionWeights(drawn).data;
      for (let head = 0; head < weights.length / length ** 2; head++) {
        const keyHead = Math.floor(head / (keyHeads * group)) * keyHeads +
          Math.floor((head % (keyHeads * group)) / group);
        const rowOf = ({ data }: reference.ReferenceTensor, index: number) =>
          data.subarray(index * length * headDim, index * length * headDim + headDim);
        const a = weights[head * length ** 2]!;
        const g = rowOf(drawn.outputGradient, head), v = rowOf(drawn.value, keyHead);
        const k = rowOf(drawn.key, keyHead);
        const slope = a * ((1 - a) * inner(g, v) + drawn.logSumExpGradient.data[head * length]!);
        tolerances.within(
          distance(rowOf(queryGradient, head), k.map((x) => scale * slope * x)),
          {
            tolerance: 2 ** -53 * (headDim * (largestLogit(drawn) + 6) + 50) * Math.abs(scale) *
              norm(k) *
              (norm(g) * norm(v) + Math.abs(drawn.logSumExpGradient.data[head * length]!)),
            what: "the first query's gradient",
          },
        );
      }
    },
  });
});

Deno.test("S5: a sink far below the logits changes no bit, a sink far above takes all attention", () => {
  checkProperty(attentionDescription, {
    seed: 114,
    runs: 60,
    check(description) {
      const drawn = drawAttention(description);
      const heads = description.keyHeads * description.group;
      const run = (sink?: number) => {
        const sinkLogit = sink === undefined ? undefined : tensor(Array(heads).fill(sink), [heads]);
        const forward = attentionForward({ ...drawn, sinkLogit });
        return { ...forward, ...attentionBackward({ ...drawn, ...forward, sinkLogit }) };
      };
      const plain = run();
      for (const sink of [-Infinity, -3e38]) {
        const weak = run(sink);
        const names = ["output", "logSumExp", "queryGradient", "keyGradient", "valueGradient"];
        for (const name of names as (keyof typeof plain)[]) {
          assertEquals(differingBits(weak[name]!.data, plain[name]!.data).worst, 0, name);
        }
        assertEquals([...weak.sinkLogitGradient!.data], Array(heads).fill(0));
      }
      const strong = run(3e38);
      for (const name of ["output", "queryGradient", "keyGradient", "valueGradient"] as const) {
        assert(strong[name].data.every((x) => x === 0), name);
      }
      assert(strong.logSumExp.data.every((x) => x === 3e38));
    },
  });
});

Deno.test("S6: with sinks the bounds A5 to A7 hold, the sink being one more key of zeros in A7", () => {
  let nearest = 0; // the largest ratio of a gradient to its bound
  checkProperty(attentionDescription, {
    seed: 115,
    runs: 150,
    check(description) {
      const drawn = drawSinks({ ...description, batch: 1, keyHeads: 1, group: 1 });
      const { length, headDim } = description;
      const scale = Math.abs(drawn.scale ?? headDim ** -0.5);
      const weights = attentionWeights(drawn).data;
      const forward = attentionForward(drawn);
      const rowOf = ({ data }: reference.ReferenceTensor, t: number) =>
        data.subarray(t * headDim, (t + 1) * headDim);
      const tokens = Array.from({ length }, (_, t) => t);
      const D = tokens.map((t) => inner(rowOf(drawn.outputGradient, t), rowOf(forward.output, t)));
      const check = (actual: number, bound: number, what: string) => {
        assert(actual <= bound * (1 + 1e-9) + 1e-300, `${what}: ${actual} above ${bound}`);
        nearest = Math.max(nearest, bound > 0 ? actual / bound : 0);
      };
      for (const ofLogSumExp of [undefined, drawn.logSumExpGradient]) {
        const gradients = attentionBackward({
          ...drawn,
          ...forward,
          logSumExpGradient: ofLogSumExp,
        });
        const slope = (t: number) => (ofLogSumExp?.data[t] ?? 0) - D[t]!;
        const beta = (t: number, s: number) =>
          inner(rowOf(drawn.outputGradient, t), rowOf(drawn.value, s)) + slope(t);
        for (const s of tokens) {
          const seen = tokens.slice(s);
          const a = seen.map((t) => weights[t * length + s]!);
          const g = seen.map((t) => norm(rowOf(drawn.outputGradient, t)));
          const mass = a.reduce((sum, x) => sum + x, 0);
          const value = norm(rowOf(gradients.valueGradient, s));
          check(value, a.reduce((sum, x, i) => sum + x * g[i]!, 0), "A5, weighted");
          check(value, mass * Math.max(...g), "A5, mass");
          check(value, norm(Float64Array.from(a)) * norm(Float64Array.from(g)), "A5, moment");
          const longest = Math.max(...seen.map((t) => norm(rowOf(drawn.query, t))));
          const steepest = Math.max(...seen.map((t) => Math.abs(beta(t, s))));
          check(
            norm(rowOf(gradients.keyGradient, s)),
            scale * longest * steepest * mass,
            "A6",
          );
        }
        if (ofLogSumExp !== undefined) continue;
        for (const t of tokens) {
          const mean = new Float64Array(headDim);
          for (let j = 0; j <= t; j++) {
            rowOf(drawn.key, j).forEach((x, i) => mean[i]! += weights[t * length + j]! * x);
          }
          let widest = norm(mean), steepest = Math.abs(slope(t)); // the sink: a key of zeros
          for (let j = 0; j <= t; j++) {
            widest = Math.max(widest, distance(rowOf(drawn.key, j), mean));
            steepest = Math.max(steepest, Math.abs(beta(t, j)));
          }
          check(norm(rowOf(gradients.queryGradient, t)), scale * steepest * widest, "A7");
        }
      }
    },
  });
  assert(nearest > 0.5, `no gradient came near its bound: ${nearest}`);
});

Deno.test("NaN or +Infinity as one head's sink makes that head NaN, and the gradients of its keys", () => {
  const drawn = drawSinks({
    batch: 1,
    keyHeads: 2,
    group: 2,
    length: 3,
    headDim: 2,
    pattern: "normal",
    seed: 5,
    scale: undefined,
  });
  const run = (sinkLogit: reference.ReferenceTensor) => {
    const forward = attentionForward({ ...drawn, sinkLogit });
    return { ...forward, ...attentionBackward({ ...drawn, ...forward, sinkLogit }) };
  };
  const clean = run(drawn.sinkLogit);
  for (const bad of [NaN, Infinity]) {
    const spoiled = tensor(drawn.sinkLogit.data, [4]);
    spoiled.data[2] = bad;
    const dirty = run(spoiled);
    for (const [name, { data }] of Object.entries(dirty)) {
      const blocks = name === "keyGradient" || name === "valueGradient" ? 2 : 4;
      const lost = blocks === 2 ? 1 : 2;
      const size = data.length / blocks;
      data.forEach((x, i) => {
        if (Math.floor(i / size) === lost) assert(Number.isNaN(x), `${name}[${i}] is ${x}`);
        else assertEquals(x, clean[name as keyof typeof clean]!.data[i], `${name}[${i}]`);
      });
    }
  }
});

Deno.test("attention names a sink or a gradient of logSumExp that has a wrong shape", () => {
  const drawn = drawSinks({
    batch: 1,
    keyHeads: 1,
    group: 2,
    length: 3,
    headDim: 2,
    pattern: "normal",
    seed: 6,
    scale: undefined,
  });
  const forward = attentionForward(drawn);
  const wrong = tensor([1, 2, 3], [3]);
  for (
    const call of [
      () => attentionForward({ ...drawn, sinkLogit: wrong }),
      () => attentionWeights({ ...drawn, sinkLogit: wrong }),
      () => attentionBackward({ ...drawn, ...forward, sinkLogit: wrong }),
    ]
  ) {
    assertThrows(call, TypeError, "sinkLogit has shape [3], wanted [2] as query is [1, 2, 3, 2]");
  }
  assertThrows(
    () => attentionBackward({ ...drawn, ...forward, logSumExpGradient: wrong }),
    TypeError,
    "logSumExpGradient has shape [3], wanted [1, 2, 3] as query is [1, 2, 3, 2]",
  );
  assertThrows(
    () => attentionForward({ ...drawn, sinkLogit: null as never }),
    TypeError,
    "sinkLogit is null, wanted a tensor",
  );
});

Deno.test("attentionSinkStatistics() gives the values of a case with a sink worked by hand", () => {
  // The weights of the first key from the case above: 1/3 and 1/6 with a sink of log 2, 1/2 and 1/5
  // with a sink of 0.
  const query = tensor([1, 1, 1, 1], [1, 2, 2, 1]);
  const key = tensor([0, Math.log(3)], [1, 1, 2, 1]);
  const sinkLogit = tensor([Math.log(2), 0], [2]);
  const { logSumExp } = attentionForward({ query, key, value: key, sinkLogit });
  const { sinkShare, mass, secondMoment, score } = reference.attentionSinkStatistics({
    query,
    key,
    logSumExp,
    sinkLogit,
  });
  const near = (actual: Float64Array, wanted: number[]) =>
    assert(distance(actual, wanted) < 1e-15, `${actual} is not ${wanted}`);
  near(sinkShare!.data, [(2 / 3 + 1 / 3) / 2, (1 / 2 + 1 / 5) / 2]);
  near(mass.data, [1 / 2, 7 / 10]);
  near(secondMoment.data, [1 / 9 + 1 / 36, 1 / 4 + 1 / 25]);
  near(score.data, [1 / 4, 7 / 20]);
  const without = reference.attentionSinkStatistics({ query, key, logSumExp });
  assertEquals(without.sinkShare, undefined);
});
