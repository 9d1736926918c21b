/**
 * Checks RMSNorm as a compressor of gradients: N1, N2 and N4 of src/reference/theory.md, which
 * states N4 for ε = 0; here it is checked for any ε. A traced branch computes h′ = h + f(h̃) with
 * h̃ = RMSNorm(h), where f is attention or the MLP. With u = γ ⊙ ∇h̃ and r = rms(h):
 *
 *     ∇h − ∇h′ = J(h)ᵀ ∇h̃ = u/r − h ⟨u, h⟩/(d r³)
 *
 * Rounding, with the unit roundoff η: the RMSNorm's backward pass adds two terms of magnitude
 * ‖u‖/r, from sums of d products, so it is off by (d + 30) η times 2‖u‖/r. The stored ∇h is a
 * rounded sum, so its difference from ∇h′ is off by 2η (‖∇h‖ + ‖∇h′‖), even if that difference is
 * small.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771.
 */
import type { BranchStates } from "../meters/branch.ts";
import { type Numbers, rowDistance, rowNorm } from "../numbers.ts";
import { CheckMeter } from "./slack.ts";

export type NormChecks = Readonly<
  Record<"jacobian" | "radial" | "compressBound" | "changeBound", CheckMeter>
>;

/** Creates empty meters for all layers. */
export function normChecks(): NormChecks {
  const identity = (name: string, formula: string) =>
    new CheckMeter({ name, formula, kind: "identity" });
  const bound = (name: string, formula: string) => new CheckMeter({ name, formula, kind: "bound" });
  return {
    jacobian: identity("RMSNorm Jacobian", "∇h − ∇h′ = J(h)ᵀ ∇h̃"),
    radial: identity("radial gradient", "⟨∇h − ∇h′, h⟩ = ε ⟨u, h⟩/rms³"),
    compressBound: bound("compress bound", "Compress ≤ ‖γ‖∞/rms"),
    changeBound: bound("change bound", "Change ≤ 1 + Bloat ‖γ‖∞/rms"),
  };
}

/** A branch to check. */
export interface NormBranch {
  readonly states: BranchStates;
  /** γ: [d] */
  readonly gain: ArrayLike<number>;
  readonly epsilon: number;
  readonly layer: number;
  readonly branch: "attention" | "mlp";
  /** The number of sequences to check, from the first on. */
  readonly batch: number;
  /** T */
  readonly context: number;
  /** s */
  readonly position: number;
}

/** Checks one branch of a trace. */
export function checkNorm(checks: NormChecks, options: NormBranch): void {
  const { gain, batch, context } = options;
  let largestGain = 0;
  for (let i = 0; i < gain.length; i++) largestGain = Math.max(largestGain, Math.abs(gain[i]!));
  for (let row = 0; row < batch * context; row++) {
    compareRow(checks, { ...options, row, largestGain });
  }
}

function compareRow(
  checks: NormChecks,
  options: NormBranch & { readonly row: number; readonly largestGain: number },
): void {
  const { states, gain, epsilon, layer, branch, context, position, row, largestGain } = options;
  const { input: h, inputGradient, normGradient, outputGradient } = states;
  const width = gain.length;
  const start = row * width;
  const unit = h instanceof Float32Array ? 2 ** -24 : 2 ** -53;
  let squares = 0, uh = 0, uu = 0;
  for (let i = 0; i < width; i++) {
    const x = h[start + i]!, u = gain[i]! * normGradient[start + i]!;
    squares += x * x;
    uh += u * x;
    uu += u * u;
  }
  const r = Math.sqrt(squares / width + epsilon);
  let error = 0, radial = 0;
  for (let i = 0; i < width; i++) {
    const x = h[start + i]!, u = gain[i]! * normGradient[start + i]!;
    const difference = inputGradient[start + i]! - outputGradient[start + i]!;
    error += (difference - (u / r - x * uh / (width * r ** 3))) ** 2;
    radial += difference * x;
  }
  const norm = (data: Numbers) => rowNorm(data, start, width);
  const before = norm(inputGradient), after = norm(outputGradient), inner = norm(normGradient);
  const stored = 2 * unit * (before + after);
  const computed = (width + 30) * unit;
  const where = () =>
    `layer ${layer}, ${branch}, sequence ${Math.floor(row / context)}, position ${row % context}`;
  /**
   * The tolerance is in units of the scale: the relative error `computed`, plus the absolute error
   * `rounding` divided by the scale.
   */
  const allowing = (scale: number, rounding: number) => ({
    scale,
    tolerance: computed + (scale === 0 ? 0 : rounding / scale),
    where,
  });
  const terms = 2 * Math.sqrt(uu) / r;
  checks.jacobian.identity({ excess: Math.sqrt(error), ...allowing(terms, stored) });
  const length = Math.sqrt(squares);
  checks.radial.identity({
    excess: Math.abs(radial - epsilon * uh / r ** 3),
    ...allowing(terms * length, stored * length),
  });
  const place = { layer, branch };
  const atSink = row % context === position;
  const most = largestGain / r;
  if (inner > 0) {
    checks.compressBound.bound({
      actual: rowDistance([inputGradient, outputGradient], start, width) / inner,
      bound: most,
      ...allowing(2 * most, stored / inner),
      atSink,
    }, place);
  }
  if (after > 0) {
    checks.changeBound.bound({
      actual: before / after,
      bound: 1 + inner / after * most,
      ...allowing(1 + 2 * inner / after * most, stored / after),
      atSink,
    }, place);
  }
}
