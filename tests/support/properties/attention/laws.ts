/**
 * The theory of attention's gradients holds for the GPU's numbers: identities, bounds, invariance,
 * adjointness.
 */
import fc from "fast-check";
import { attentionForward, type Gpu } from "../../../../mod.ts";
import { randomNormal } from "../../../../src/random.ts";
import * as reference from "../../../../src/reference/mod.ts";
import * as gradientBounds from "../../attention/gradient_bounds.ts";
import {
  type AttentionCase,
  type AttentionDescription,
  BACKWARD_ONLY,
  describeEach,
  drawAttention,
  FULL,
  someVScale,
  toTwin,
  twinInputs,
} from "../../attention/cases.ts";
import * as identities from "../../attention/identities.ts";
import type { AttentionNumbers } from "../../attention/layer.ts";
import { attentionBackwardBounds, attentionForwardBounds } from "../../attention/tolerance.ts";
import { type Property, propertyOf, type PropertyOptions } from "../../check_cases.ts";
import { type Numbers, onGpu } from "../../on_gpu.ts";
import type { Report } from "../../report.ts";
import { U } from "../../tolerance.ts";
import { inner, norm } from "../../vectors.ts";
import { forwardAndBackward } from "./passes.ts";

/** Small cases, because the identities take T³ steps. */
const description: fc.Arbitrary<AttentionDescription> = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  keyHeads: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 2 }),
  length: fc.oneof(fc.constantFrom(2, 4, 5, 32, 33, 37), fc.integer({ min: 2, max: 20 })),
  headDim: fc.constantFrom(4, 8, 12, 36),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
  scale: fc.constantFrom(undefined, 0.3, -0.7),
  // "sharp" logits and "huge" constants are left out, because they make gradients subnormal, and
  // subnormal numbers have few digits.
  pattern: fc.constantFrom("normal" as const, "sink" as const),
  vScale: someVScale("tiny", "usual"),
});

const examples = describeEach([
  { batch: 2, keyHeads: 2, group: 2, length: 37, headDim: 12, seed: 61 },
  { keyHeads: 2, length: 35, headDim: 8, seed: 62, vScale: FULL },
  { keyHeads: 2, length: 33, headDim: 8, seed: 63, vScale: BACKWARD_ONLY },
]);

/** An upper bound of |z_tj| in a case, by the Cauchy–Schwarz inequality. */
function largestLogit(drawn: AttentionCase, headDim: number): number {
  const longest = ({ data }: Numbers) => {
    let most = 0;
    for (let start = 0; start < data.length; start += headDim) {
      most = Math.max(most, norm(data.subarray(start, start + headDim)));
    }
    return most;
  };
  const scale = Math.abs(drawn.scale ?? 1 / Math.sqrt(headDim));
  return scale * longest(drawn.query) * longest(drawn.key);
}

// The property below checks the first query's gradient by itself.
const { "A3 first query": _, ...equalities } = identities.identitiesByName;

/**
 * Identities A1 to A4 and V3, and bounds A5 to A7 and V2, hold for the GPU's forward and backward.
 * The first query's gradient is exactly zero, as A3 says; with V-scale "full" it is zero within the
 * tolerance.
 *
 * The tolerance is relative to the sums of the terms' magnitudes. It allows for the rounding of
 * sums of T · group terms, of inner products of D terms and of logSumExp. With u = 2^-24, it also
 * allows for the logits' errors, (D/4 + 6) u |z| in the forward and again in the backward, which
 * exp turns into relative errors. exp(x) itself has a relative error of up to (1 + 4) u |x|, where
 * |x| is at most 2 |z|.
 */
export const attentionObeysItsIdentities = propertyOf({
  name: "attention's identities and bounds",
  arbitrary: description,
  examples,
  seed: 741,
  runs: 12,
  async check(description, tally, gpu) {
    const { length, group, headDim } = description;
    const drawn = drawAttention(description);
    const numbers: AttentionNumbers = {
      ...drawn,
      ...await forwardAndBackward(gpu, drawn),
      scale: drawn.scale,
    };
    const logit = largestLogit(drawn, headDim);
    const tolerance = U * (length * group + headDim / 2 + 40 + (headDim / 2 + 26) * logit);
    for (
      const [what, identity] of Object.entries({ ...equalities, ...gradientBounds.boundsByName })
    ) {
      tally.holds(what, { violation: identity(numbers), tolerance });
    }
    if (drawn.vScale !== undefined) {
      const violation = identities.constantPath(numbers);
      tally.holds("V3 constant", { violation, tolerance });
    }
    // The first query sees one key, so its gradient is a multiple of ⟨g, v⟩ − ⟨g, y⟩. With V-scale
    // "full" that is φ ⟨g, v⟩ − ⟨g, φ v⟩, which may leave a rounding error. Otherwise both terms
    // have the same bits.
    const first = identities.firstQueryGradient(numbers);
    if (drawn.vScale?.mode === "full") {
      tally.holds("A3 first query", { violation: first, tolerance });
    } else if (first.worst !== 0) {
      throw new Error(`A3: the first query's gradient is ${first.worst}, exactly 0 wanted`);
    }
  },
});

/**
 * Adding one vector c to all keys shifts every logit of a row equally: output, queryGradient,
 * keyGradient and valueGradient stay the same, and logSumExp grows by scale ⟨q_t, c⟩. Keys and c
 * are multiples of 2^-8, which makes their sum exact. The tolerance adds the error bounds before
 * and after the shift.
 */
export const softmaxIsShiftInvariant = propertyOf({
  name: "softmax's shift invariance",
  arbitrary: description,
  examples,
  seed: 742,
  runs: 8,
  async check(description, tally, gpu) {
    const { headDim, seed } = description;
    const coarse = (x: number) => Math.round(x * 256) / 256;
    const drawn = drawAttention(description);
    drawn.key.data.forEach((x, i) => drawn.key.data[i] = coarse(x));
    const c = randomNormal({ seed: seed + 9, length: headDim }).map(coarse);
    const shifted: AttentionCase = {
      ...drawn,
      key: { ...drawn.key, data: drawn.key.data.map((x, i) => x + c[i % headDim]!) },
    };
    const before = await forwardAndBackward(gpu, drawn);
    const after = await forwardAndBackward(gpu, shifted);
    const scale = drawn.scale ?? 1 / Math.sqrt(headDim);
    const expected = {
      ...before,
      logSumExp: {
        data: before.logSumExp.data.map((x, row) => {
          const q = drawn.query.data.subarray(row * headDim, (row + 1) * headDim);
          return x + scale * inner(q, c);
        }),
      },
    };
    const forwardBounds = [drawn, shifted].map((each) => attentionForwardBounds(each));
    const backwardBounds = [before, after].map((results, i) =>
      attentionBackwardBounds([drawn, shifted][i]!, { ...results, errors: forwardBounds[i]! })
    );
    const gradients = ["queryGradient", "keyGradient", "valueGradient"] as const;
    for (const name of ["output", "logSumExp", ...gradients] as const) {
      const bounds = [0, 1].map((i) => ({ ...forwardBounds[i]!, ...backwardBounds[i]! })[name]);
      tally.within(`${name} under a shift`, {
        actual: after[name].data,
        expected: expected[name].data,
        // This adds the errors before and after the shift, and the rounding of the expected number
        // to float32.
        bound: bounds[0]!.map((bound, i) =>
          bound + bounds[1]![i]! + U * Math.abs(expected[name].data[i]!)
        ),
      });
    }
  },
});

/** A random direction in which to move all inputs of a case. */
function tangents(drawn: AttentionCase, seed: number): Record<string, Numbers> {
  const names = ["query", "key", "value"] as const;
  const tangent = (numbers: Numbers, i: number): Numbers => ({
    data: randomNormal({ seed: seed + 20 + i, length: numbers.data.length }),
    shape: numbers.shape,
  });
  return {
    ...Object.fromEntries(names.map((name, i) => [name, tangent(drawn[name], i)])),
    ...drawn.vScale?.mode === "full" ? { constant: tangent(drawn.vScale.constant, 3) } : {},
  };
}

/**
 * Adjointness: ⟨dy, J v⟩ = ⟨Jᵀ dy, v⟩ for attention's Jacobian J and random v in all inputs at
 * once, including V-scale's constants. Jᵀ dy comes from the GPU's backward. J v comes once from the
 * twin's forward (Richardson extrapolation, exact to 1e-9) and once from central differences of the
 * GPU's own forward.
 *
 * The first comparison's tolerance adds two errors. The GPU's is Σ |v| times the bound of each
 * gradient's error, which includes the forward's error. The extrapolation's is 1e-9 Σ |gradient v|.
 * The second comparison's tolerance adds two errors of the difference quotient. Its rounding error
 * is Σ |dy| (e(x + h v) + e(x − h v)) / 2h, where e is the forward's bound plus the effect of
 * rounding the moved inputs. Its truncation error comes from the twin's difference quotient with
 * the same h.
 */
export const attentionIsAdjoint = propertyOf({
  name: "attention's adjointness",
  arbitrary: description.filter(({ vScale }) =>
    vScale?.mode !== "backward-only" && vScale?.size !== "tiny"
  ),
  examples: examples.slice(0, 2),
  seed: 743,
  runs: 8,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    const direction = tangents(drawn, description.seed);
    const { vScale, outputGradient } = drawn;
    const gradients = await forwardAndBackward(gpu, drawn);
    const errors = attentionForwardBounds(drawn);
    const bounds = attentionBackwardBounds(drawn, { ...gradients, errors });
    const pairs = [
      [gradients.queryGradient, bounds.queryGradient, direction.query],
      [gradients.keyGradient, bounds.keyGradient, direction.key],
      [gradients.valueGradient, bounds.valueGradient, direction.value],
      [gradients.constantGradient, bounds.constantGradient, direction.constant],
    ] as const;
    let pulled = 0, gradientError = 0, magnitude = 0;
    for (const [gradient, bound, tangent] of pairs) {
      tangent?.data.forEach((v, i) => {
        pulled += gradient!.data[i]! * v;
        gradientError += bound[i]! * Math.abs(v);
        magnitude += Math.abs(gradient!.data[i]! * v);
      });
    }
    const inputs = twinInputs(drawn);
    const moved = (h: number) => {
      const move = (tensor: reference.ReferenceTensor, tangent: Numbers | undefined) =>
        tangent === undefined ? tensor : reference.tensor(
          tensor.data.map((x, i) => x + h * tangent.data[i]!),
          tensor.shape,
        );
      return {
        query: move(inputs.query, direction.query),
        key: move(inputs.key, direction.key),
        value: move(inputs.value, direction.value),
        scale: inputs.scale,
        vScale: inputs.vScale && {
          mode: inputs.vScale.mode,
          constant: move(inputs.vScale.constant, direction.constant),
        },
      };
    };
    const loss = (h: number) =>
      inner(outputGradient.data, reference.attentionForward(moved(h)).output.data);
    const pushed = reference.richardsonDerivative(loss).value;
    const tolerance = gradientError + 1e-9 * magnitude;
    tally.within("⟨Jᵀ dy, v⟩ against the twin's J v", {
      actual: [pulled],
      expected: [pushed],
      bound: [tolerance],
    });

    const h = 2 ** -6;
    let difference = 0, rounding = 0;
    for (const sign of [1, -1]) {
      const at = moved(sign * h);
      const round = (tensor: reference.ReferenceTensor): Numbers => ({
        data: Float32Array.from(tensor.data),
        shape: tensor.shape,
      });
      const there: AttentionCase = {
        ...drawn,
        query: round(at.query),
        key: round(at.key),
        value: round(at.value),
        vScale: vScale && { mode: vScale.mode, constant: round(at.vScale!.constant) },
      };
      const { output } = await onGpu(gpu, attentionForward, there);
      const exact = reference.attentionForward(at).output.data;
      const rounded = reference.attentionForward(twinInputs(there)).output.data;
      attentionForwardBounds(there).output.forEach((bound, i) => {
        const g = outputGradient.data[i]!;
        difference += sign * g * output.data[i]! / (2 * h);
        rounding += Math.abs(g) * (bound + Math.abs(exact[i]! - rounded[i]!)) / (2 * h);
      });
    }
    const truncation = Math.abs((loss(h) - loss(-h)) / (2 * h) - pushed);
    const bound = rounding + truncation + tolerance;
    if (bound > 0.5 * Math.abs(pushed)) return; // too small a derivative to show anything
    tally.within("⟨Jᵀ dy, v⟩ against differences on the GPU", {
      actual: [pulled],
      expected: [difference],
      bound: [bound],
    });
  },
});

/** Bound A8 on the expected norm of value gradients holds on the GPU, by Monte Carlo. */
export async function attentionObeysTheStochasticBound(
  gpu: Gpu,
  { seed = 744 }: PropertyOptions = {},
): Promise<Report> {
  const samples = 1500, length = 8, headDim = 4, variance = 2.25;
  // Each batch entry is one sample. All have the same query, key and value, and each has its own
  // noise in outputGradient.
  const repeat = (numbers: Float32Array): Numbers => ({
    data: Float32Array.from(
      { length: samples * numbers.length },
      (_, i) => numbers[i % numbers.length]!,
    ),
    shape: [samples, 1, length, headDim],
  });
  const [query, key, value, mean] = [0, 1, 2, 3].map((i) =>
    randomNormal({ seed: seed + i, length: length * headDim })
  ) as [Float32Array, Float32Array, Float32Array, Float32Array];
  const noise = randomNormal({
    seed: seed + 4,
    length: samples * length * headDim,
    standardDeviation: Math.sqrt(variance / headDim),
  });
  const outputGradient: Numbers = {
    data: noise.map((x, i) => x + 0.3 * mean[i % headDim]!),
    shape: [samples, 1, length, headDim],
  };
  const drawn = { query: repeat(query), key: repeat(key), value: repeat(value), outputGradient };
  const { logSumExp, valueGradient } = await forwardAndBackward(gpu, {
    ...drawn,
    scale: undefined,
    vScale: undefined,
  });
  const one = (numbers: Float32Array) => reference.tensor(numbers, [1, 1, length, headDim]);
  const statistics = reference.attentionSinkStatistics({
    query: one(query),
    key: one(key),
    logSumExp: toTwin({ data: logSumExp.data.slice(0, length), shape: [1, 1, length] }),
  });
  const squaredNorms = Float64Array.from({ length: samples }, (_, sample) => {
    const start = sample * length * headDim;
    const gradient = valueGradient.data.subarray(start, start + headDim);
    return inner(gradient, gradient);
  });
  const parameters = {
    squaredNorms,
    mass: statistics.mass.data[0]!,
    secondMoment: statistics.secondMoment.data[0]!,
    meanSquared: inner(
      mean.subarray(0, headDim).map((x) => 0.3 * x),
      mean.subarray(0, headDim).map((x) => 0.3 * x),
    ),
    variance,
    covariance: 0,
    standardErrors: 5, // confidence 1 − 6e-7
  };
  const { fromUpper, violation } = gradientBounds.stochasticValueBound(parameters);
  // The upper bound is attained if the noise is independent and of equal size at all positions, as
  // it is here. So the mean must also lie near the bound.
  if (!(violation.worst <= 1 && Math.abs(fromUpper) <= 1)) {
    throw new Error(`A8: ${violation.where} violated by ${violation.worst}, ${fromUpper}`);
  }
  return {
    name: "the stochastic value bound A8 at 5 standard errors",
    cases: samples,
    comparisons: violation.compared,
    share: Math.abs(fromUpper),
    worst: "distance from the upper bound",
  };
}

/** The properties above except A8, which draws its own noise, by test name. */
export const lawProperties: Readonly<Record<string, Property>> = {
  "attentionBackward() obeys the identities A1 to A4 and V3 and the bounds A5 to A7 and V2":
    attentionObeysItsIdentities,
  "attention is invariant under a shift of the logits": softmaxIsShiftInvariant,
  "attentionBackward() is the adjoint of attentionForward()": attentionIsAdjoint,
};
