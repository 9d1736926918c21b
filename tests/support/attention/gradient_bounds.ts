/**
 * The gradient-sink theory's bounds on attention's gradients. identities.ts explains the symbols.
 */
import { type AttentionNumbers, layerOf, rowOf, TINY, valveAt } from "./layer.ts";
import { distance, norm } from "../vectors.ts";
import { type Violation, Worst } from "../violation.ts";

/**
 * Bound A5 on value gradients at every position: ‖∇_{v_s}L‖ ≤ λ∥ Σ_t a_ts ‖g_t‖ ≤ λ∥ M_s max_{t≥s}
 * ‖g_t‖ and ‖∇_{v_s}L‖ ≤ λ∥ √S_s (Σ_{t≥s} ‖g_t‖²)^½. λ∥ is V-scale's largest gain (V2), or 1
 * without V-scale.
 */
export function valueBounds(
  numbers: AttentionNumbers,
): { weighted: Violation; mass: Violation; secondMoment: Violation } {
  const layer = layerOf(numbers);
  const weighted = new Worst(), mass = new Worst(), secondMoment = new Worst();
  layer.eachKey((keyHead, s, where) => {
    let weightedBound = 0, massBound = 0, secondMomentBound = 0;
    for (const head of layer.readers(keyHead)) {
      let column = 0, squares = 0, largest = 0, total = 0;
      for (let t = s; t < layer.length; t++) {
        const a = layer.weight(head, t, s) + TINY;
        const g = norm(layer.row(layer.numbers.g, head, t));
        weightedBound += a * g;
        column += a;
        squares += a * a;
        largest = Math.max(largest, g);
        total += g * g;
      }
      massBound += column * largest;
      secondMomentBound += Math.sqrt(squares * total);
    }
    const gain = valveAt(numbers, { keyHead, s })?.gain ?? 1;
    const size = norm(rowOf(numbers.valueGradient, keyHead * layer.length + s));
    weighted.see(size - gain * weightedBound, gain * weightedBound, where);
    mass.see(size - gain * massBound, gain * massBound, where);
    secondMoment.see(size - gain * secondMomentBound, gain * secondMomentBound, where);
  });
  return { weighted: weighted.result(), mass: mass.result(), secondMoment: secondMoment.result() };
}

/**
 * Bound A6 on key gradients: ‖∇_{k_s}L‖ ≤ |scale| Q_max B_max M_s. Q_max and B_max are the largest
 * ‖q_t‖ and |β_ts| over t ≥ s. A key head's bound is the sum over its query heads.
 *
 * If the terms of β cancel, the bound consists of rounding errors only. So the excess is measured
 * relative to the terms' magnitudes, as in {@linkcode keyPath}.
 */
export function keyBound(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  layer.eachKey((keyHead, s, where) => {
    let bound = 0, scale = 0;
    for (const head of layer.readers(keyHead)) {
      let column = 0, largestQuery = 0, largestBeta = 0;
      for (let t = s; t < layer.length; t++) {
        const a = layer.weight(head, t, s) + TINY;
        const q = norm(layer.row(layer.numbers.query, head, t));
        column += a;
        largestQuery = Math.max(largestQuery, q);
        largestBeta = Math.max(largestBeta, Math.abs(layer.beta(head, t, s)));
        scale += Math.abs(layer.scale) * a * layer.betaScale(head, t, s) * q;
      }
      bound += Math.abs(layer.scale) * largestQuery * largestBeta * column;
    }
    const size = norm(rowOf(numbers.keyGradient, keyHead * layer.length + s));
    worst.see(size - bound, scale, where);
  });
  return worst.result();
}

/**
 * Bound A7 on query gradients: ‖∇_{q_s}L‖ ≤ |scale| B_max ΔK_max. B_max is the largest |β_sj| and
 * ΔK_max the largest distance of a key from the mean key Σ_j a_sj k_j, over j ≤ s.
 *
 * If the terms of β cancel, the bound consists of rounding errors only. So the excess is measured
 * relative to the terms' magnitudes, as in {@linkcode queryPath}.
 */
export function queryBound(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  layer.eachQuery((head, s, where) => {
    const keys = Array.from(
      { length: s + 1 },
      (_, j) => layer.row(layer.numbers.key, layer.keyHead(head), j),
    );
    const mean = new Float64Array(layer.headDim);
    let largestBeta = 0, scale = 0;
    keys.forEach((k, j) => {
      const a = layer.weight(head, s, j);
      for (let i = 0; i < k.length; i++) mean[i]! += a * k[i]!;
      largestBeta = Math.max(largestBeta, Math.abs(layer.beta(head, s, j)));
      scale += Math.abs(layer.scale) * (a + TINY) * layer.betaScale(head, s, j) * norm(k);
    });
    const farthest = Math.max(...keys.map((k) => distance(k, mean)));
    const bound = Math.abs(layer.scale) * largestBeta * farthest;
    const size = norm(rowOf(numbers.queryGradient, head * layer.length + s));
    worst.see(size - bound, scale, where);
  });
  return worst.result();
}

/**
 * Bound A8 on the expected norm of value gradients: M_s² ‖μ‖² ≤ E‖∇_{v_s}L‖² ≤ M_s² ‖μ‖² + σ² S_s +
 * ρ (M_s² − S_s). It holds for g_t = μ + ε_t where the noise ε_t has mean zero, tr Cov(ε_t) ≤ σ²
 * and |tr Cov(ε_t, ε_t′)| ≤ ρ.
 *
 * `squaredNorms` are samples of ‖∇_{v_s}L‖² for independent draws of the noise. The allowance by
 * which their mean may miss the expectation is `standardErrors` times the mean's standard error. If
 * `standardErrors` is 5, it suffices with confidence 1 − 6e-7.
 *
 * @returns The mean of the samples, both bounds, and the violation in units of the allowance: at
 *   most 1 if the bounds hold. `fromUpper` is the signed distance of the mean from the upper bound
 *   in the same units: within ±1 if the noise attains this bound.
 */
export function stochasticValueBound(options: {
  readonly squaredNorms: ArrayLike<number>;
  readonly mass: number;
  readonly secondMoment: number;
  /** ‖μ‖² */
  readonly meanSquared: number;
  /** σ² */
  readonly variance: number;
  /** ρ */
  readonly covariance: number;
  readonly standardErrors: number;
}): { mean: number; lower: number; upper: number; fromUpper: number; violation: Violation } {
  const { squaredNorms: samples, mass, secondMoment } = options;
  const count = samples.length;
  let mean = 0;
  for (let i = 0; i < count; i++) mean += samples[i]! / count;
  let spread = 0;
  for (let i = 0; i < count; i++) spread += (samples[i]! - mean) ** 2 / (count - 1);
  const allowance = options.standardErrors * Math.sqrt(spread / count);
  const lower = mass ** 2 * options.meanSquared;
  const upper = lower + options.variance * secondMoment +
    options.covariance * (mass ** 2 - secondMoment);
  const worst = new Worst();
  worst.see(lower - mean, allowance, "lower bound");
  worst.see(mean - upper, allowance, "upper bound");
  return { mean, lower, upper, fromUpper: (mean - upper) / allowance, violation: worst.result() };
}

/** The function that measures the violation of each bound except A8, by the bound's label. */
export const boundsByName: Readonly<Record<string, (numbers: AttentionNumbers) => Violation>> = {
  "A5 weighted": (numbers) => valueBounds(numbers).weighted,
  "A5 mass": (numbers) => valueBounds(numbers).mass,
  "A5 second moment": (numbers) => valueBounds(numbers).secondMoment,
  "A6 key": keyBound,
  "A7 query": queryBound,
};
