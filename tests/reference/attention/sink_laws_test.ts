/** The float64 twin obeys the statements S1 to S6 of src/reference/theory.md on learned sinks. */
import * as reference from "../../../src/reference/mod.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { differingBits } from "../../support/rows/identities.ts";
import { distance, inner, norm } from "../../support/vectors.ts";
import {
  attentionDescription,
  checkProperty,
  drawAttention,
  largestLogit,
  normal,
} from "../cases.ts";
import { SharpComparisons } from "../sharp_comparisons.ts";
import { drawSinks } from "./sink_case.ts";

const { attentionForward, attentionBackward, attentionWeights, tensor } = reference;

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
          // `floor` bounds the loss's error from rounding in the twin. `compare` adds it to the
          // tolerance.
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
