/**
 * The exact identities and bounds of the gradient-sink theory for RMSNorm (N1 to N4) and V-scale
 * (V1 to V4), and comparisons of whole results, as functions of plain numbers from the float64 twin
 * or a GPU. ../violation.ts defines how violations are measured, and src/reference/theory.md what
 * the labels mean.
 *
 * RMSNorm: r = √(‖x‖²/d + ε), g is the output's gradient, γ the gain, u = γ ⊙ g. V-scale: r = ‖v‖²,
 * ĝ is the gradient of the scaled value, λ∥ and λ⊥ are J_φ(v)'s eigenvalues along and across v.
 */
import * as reference from "../../../src/reference/mod.ts";
import { distance, inner, norm, type Plain } from "../vectors.ts";
import { type Violation, Worst } from "../violation.ts";

/** RMSNorm's inputs and the results that the identities use, under the API's names. */
export interface RmsNormNumbers {
  readonly input: Plain;
  readonly gain: Plain;
  readonly inverseRms: Plain;
  readonly outputGradient: Plain;
  readonly inputGradient: Plain;
  readonly epsilon: number;
}

/** V-scale's inputs and gradients, under the API's names. */
export interface VScaleNumbers {
  readonly value: Plain;
  readonly constant: Plain;
  readonly scaledValueGradient: Plain;
  readonly valueGradient: Plain;
  readonly constantGradient: Plain;
}

/**
 * V-scale's Jacobian J_φ(v) times a gradient: λ∥ times the gradient's part along v, plus λ⊥ times
 * the rest (V1).
 */
export function throughValve(
  gradient: Float64Array,
  valve: { readonly value: Float64Array; readonly constant: number },
): Float64Array {
  const { value, constant } = valve;
  const r = inner(value, value);
  const parallel = reference.lambdaParallel(r, constant);
  const perpendicular = reference.lambdaPerpendicular(r, constant);
  const along = r === 0 ? 0 : inner(gradient, value) / r;
  return gradient.map((g, i) =>
    perpendicular * (g - along * value[i]!) + parallel * along * value[i]!
  );
}

function rows(plain: Plain): Float64Array[] {
  const width = plain.shape[plain.shape.length - 1]!;
  const data = Float64Array.from(plain.data);
  return Array.from(
    { length: data.length / width },
    (_, i) => data.slice(i * width, (i + 1) * width),
  );
}

function eachNormRow(
  numbers: RmsNormNumbers,
  visit: (row: {
    x: Float64Array;
    u: Float64Array;
    g: Float64Array;
    gradient: Float64Array;
    r: number;
    where: string;
  }) => void,
): void {
  const g = rows(numbers.outputGradient), gradients = rows(numbers.inputGradient);
  rows(numbers.input).forEach((x, row) => {
    const u = g[row]!.map((value, i) => numbers.gain.data[i]! * value);
    const r = Math.sqrt(inner(x, x) / x.length + numbers.epsilon);
    visit({ x, u, g: g[row]!, gradient: gradients[row]!, r, where: `row ${row}` });
  });
}

/** ‖γ‖_∞ */
function largestGain(numbers: RmsNormNumbers): number {
  return Array.from(numbers.gain.data).reduce((most, gain) => Math.max(most, Math.abs(gain)), 0);
}

/**
 * Identity N1 of RMSNorm: ∇_x L = J(x)ᵀ g with J as a dense matrix (d² operations per row). The
 * violation is relative to 2 ‖u‖/r, because ∇_x L is (u − ⟨u, x⟩x/(d r²))/r, and its second term is
 * at most as long as its first.
 */
export function rmsNormIsItsJacobian(numbers: RmsNormNumbers): Violation {
  const worst = new Worst();
  const gain = reference.tensor(numbers.gain.data, numbers.gain.shape);
  eachNormRow(numbers, ({ x, u, g, gradient, r, where }) => {
    const input = reference.tensor(x, [x.length]);
    const jacobian = reference.rmsNormJacobian({ input, gain, epsilon: numbers.epsilon }).data;
    const wanted = x.map((_, j) =>
      g.reduce((sum, y, i) => sum + jacobian[i * x.length + j]! * y, 0)
    );
    worst.see(distance(gradient, wanted), 2 * norm(u) / r, where);
  });
  return worst.result();
}

/** Bound N2 of RMSNorm's gradient: ‖∇_x L‖ ≤ (‖γ‖_∞/r) ‖g‖. */
export function rmsNormBound(numbers: RmsNormNumbers): Violation {
  const worst = new Worst();
  const gain = largestGain(numbers);
  eachNormRow(numbers, ({ g, gradient, r, where }) => {
    const bound = gain / r * norm(g);
    worst.see(norm(gradient) - bound, bound, where);
  });
  return worst.result();
}

/**
 * Bound N3 of RMSNorm's gradient: if r ≥ (‖γ‖_∞/τ) ‖g‖, then ‖∇_x L‖ ≤ τ, the target. Rows with a
 * smaller r are skipped.
 */
export function rmsNormMeetsTarget(
  numbers: RmsNormNumbers,
  options: { readonly target: number },
): Violation {
  const worst = new Worst();
  const gain = largestGain(numbers);
  eachNormRow(numbers, ({ g, gradient, r, where }) => {
    if (r < gain / options.target * norm(g)) return;
    worst.see(norm(gradient) - options.target, options.target, where);
  });
  return worst.result();
}

/**
 * Identity N4 of RMSNorm: ⟨∇_x L, x⟩ = ε ⟨u, x⟩/r³, which is 0 with ε = 0. The violation is
 * relative to 2 ‖u‖ ‖x‖/r, which bounds the magnitudes of ⟨∇_x L, x⟩'s two terms together.
 */
export function rmsNormRadialGradient(numbers: RmsNormNumbers): Violation {
  const worst = new Worst();
  eachNormRow(numbers, ({ x, u, gradient, r, where }) => {
    const wanted = numbers.epsilon * inner(u, x) / r ** 3;
    worst.see(Math.abs(inner(gradient, x) - wanted), 2 * norm(u) * norm(x) / r, where);
  });
  return worst.result();
}

function eachValveRow(
  numbers: VScaleNumbers,
  visit: (row: {
    v: Float64Array;
    g: Float64Array;
    gradient: Float64Array;
    r: number;
    constant: number;
    head: number;
    where: string;
  }) => void,
): void {
  const [, heads, length] = numbers.value.shape as [number, number, number, number];
  const g = rows(numbers.scaledValueGradient), gradients = rows(numbers.valueGradient);
  rows(numbers.value).forEach((v, row) => {
    const head = Math.floor(row / length) % heads;
    const constant = numbers.constant.data[head]!;
    const where = `row ${row}`;
    visit({ v, g: g[row]!, gradient: gradients[row]!, r: inner(v, v), constant, head, where });
  });
}

/**
 * Identity V1 of V-scale: ∇_v L = λ⊥ ĝ⊥ + λ∥ ĝ∥, where ĝ∥ is along v and ĝ⊥ across. The violation
 * is relative to λ∥ ‖ĝ‖.
 */
export function vScaleIsItsEigenvalues(numbers: VScaleNumbers): Violation {
  const worst = new Worst();
  eachValveRow(numbers, ({ v, g, gradient, r, constant, where }) => {
    const wanted = throughValve(g, { value: v, constant });
    worst.see(distance(gradient, wanted), reference.lambdaParallel(r, constant) * norm(g), where);
  });
  return worst.result();
}

/** Bounds V2 of V-scale: ‖∇_v L‖ is at most λ∥ ‖ĝ‖, at most 9/8 ‖ĝ‖, and at most 3r/C ‖ĝ‖. */
export function vScaleBounds(
  numbers: VScaleNumbers,
): { eigenvalue: Violation; nineEighths: Violation; smallValue: Violation } {
  const eigenvalue = new Worst(), nineEighths = new Worst(), smallValue = new Worst();
  eachValveRow(numbers, ({ g, gradient, r, constant, where }) => {
    const see = (worst: Worst, gain: number) =>
      worst.see(norm(gradient) - gain * norm(g), gain * norm(g), where);
    see(eigenvalue, reference.lambdaParallel(r, constant));
    see(nineEighths, 9 / 8);
    see(smallValue, 3 * r / constant);
  });
  return {
    eigenvalue: eigenvalue.result(),
    nineEighths: nineEighths.result(),
    smallValue: smallValue.result(),
  };
}

/**
 * Identity V3 of V-scale, for every head: ∂L/∂C = −Σ_s r_s/(r_s + C)² ⟨v_s, ĝ_s⟩, where Σ_s also
 * runs over the batch. The violation is relative to Σ_s r_s/(r_s + C)² ‖v_s‖ ‖ĝ_s‖.
 */
export function vScaleConstantGradient(numbers: VScaleNumbers): Violation {
  const worst = new Worst();
  const wanted = new Map<number, { sum: number; scale: number }>();
  eachValveRow(numbers, ({ v, g, r, constant, head }) => {
    const factor = r / (r + constant) ** 2;
    const { sum, scale } = wanted.get(head) ?? { sum: 0, scale: 0 };
    wanted.set(head, {
      sum: sum - factor * inner(v, g),
      scale: scale + factor * norm(v) * norm(g),
    });
  });
  for (const [head, { sum, scale }] of wanted) {
    worst.see(Math.abs(numbers.constantGradient.data[head]! - sum), scale, `head ${head}`);
  }
  return worst.result();
}

/**
 * How far `actual` is from `factor` times `expected`: |actual − factor · expected| over the largest
 * |factor · expected|. For laws such as RMSNorm(c x) = RMSNorm(x), J(c x) = J(x)/c and softmax's
 * shift invariance.
 */
export function scaledDifference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  options: { readonly factor?: number } = {},
): Violation {
  const { factor = 1 } = options;
  const worst = new Worst();
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(factor * expected[i]!));
  }
  if (actual.length !== expected.length) worst.see(Infinity, 1, "the number of elements");
  for (let i = 0; i < expected.length; i++) {
    worst.see(Math.abs(actual[i]! - factor * expected[i]!), scale, `element ${i}`);
  }
  return worst.result();
}

/**
 * The violation of laws that hold bit for bit, such as V4: 0 if all elements are equal, 1 if any
 * differs, and Infinity if the lengths differ. All NaNs are equal; −0 and 0 differ.
 */
export function differingBits(actual: ArrayLike<number>, expected: ArrayLike<number>): Violation {
  const worst = new Worst();
  if (actual.length !== expected.length) worst.see(Infinity, 1, "the number of elements");
  for (let i = 0; i < expected.length; i++) {
    worst.see(Object.is(actual[i], expected[i]) ? 0 : 1, 1, `element ${i}`);
  }
  return worst.result();
}

/**
 * Adjointness of a Jacobian J and its transpose: ⟨dy, J v⟩ = ⟨Jᵀ dy, v⟩. The violation is relative
 * to ‖dy‖ ‖J v‖ + ‖Jᵀ dy‖ ‖v‖.
 */
export function adjointness(pairs: {
  readonly cotangent: ArrayLike<number>;
  readonly pushedTangent: ArrayLike<number>;
  readonly pulledCotangent: ArrayLike<number>;
  readonly tangent: ArrayLike<number>;
}): Violation {
  const { cotangent, pushedTangent, pulledCotangent, tangent } = pairs;
  const worst = new Worst();
  worst.see(
    Math.abs(inner(cotangent, pushedTangent) - inner(pulledCotangent, tangent)),
    norm(cotangent) * norm(pushedTangent) + norm(pulledCotangent) * norm(tangent),
    "the two products",
  );
  return worst.result();
}
