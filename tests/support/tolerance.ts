/**
 * How far a float32 kernel may be from the float64 twin: bounds from a forward error analysis.
 *
 * Every operation contributes its rounding error, u = 2^-24 relative for +, −, · and what the WGSL specification
 * allows the others: 2.5 ulp for a division, 3 + 2|x| ulp for exp x, 3 ulp for log (2^-21 absolute between ½ and 2),
 * 2 ulp and a division for a square root; an ulp is at most 2u. A sum of n terms in any order is off by at
 * most n u Σ|terms| (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2), n being the length
 * of the longest chain of additions that a term goes through. Subnormal numbers may be flushed to zero: an absolute
 * error of 2^-126 wherever a product could be one. The chains' lengths are those of the kernels, of several variants
 * the longest: D products one by one, tiles of 32 keys, sums over 64 invocations.
 *
 * A logit's error reaches its weight through exp: δ becomes exp(δ) − 1, to all orders, so the bounds also hold where
 * logits are in the thousands (and are wide there, as the kernel's errors are).
 */
import * as reference from "../../src/reference/mod.ts";
import { type AttentionCase, toTwin } from "./attention_cases.ts";
import {
  halfProductError,
  type HalfRounding,
  roundingOfWeights,
  SmallWeights,
} from "./half_rounding.ts";
import type { Numbers } from "./on_gpu.ts";

/** Unit roundoff of float32. */
export const U = 2 ** -24;
/** The smallest normal float32: an error of this size is a flushed subnormal. */
export const FLUSH = 2 ** -126;

const DIVISION = 5 * U;

/** The relative error of exp(x) for a given argument. */
function exponential(x: number): number {
  return 2 * U * (3 + 2 * Math.abs(x));
}

/**
 * The additions that a term of an inner product of D numbers goes through, and its product, in the worst of the
 * variants: the barrier-free kernels add D terms one by one; all others add four products a step, D/4 + 4.
 */
function chain(headDim: number): number {
  return Math.max(headDim, headDim / 4 + 4);
}

/** What the bounds of attention are computed from. */
class Pass {
  readonly shape: readonly [number, number, number, number];
  readonly keyHeads: number;
  readonly scale: number;
  readonly query: Float64Array;
  readonly key: Float64Array;
  readonly value: Float64Array;
  /** v, or φ(v) under V-scale "full". */
  readonly used: Float64Array;
  /** The relative and the absolute error of the factor φ of every value row; 0 without V-scale "full". */
  readonly factorError: Float64Array;
  readonly #rounding: HalfRounding | undefined;

  constructor(drawn: AttentionCase, rounding?: HalfRounding) {
    this.#rounding = rounding;
    this.shape = drawn.query.shape as [number, number, number, number];
    this.keyHeads = drawn.key.shape[1]!;
    const headDim = this.shape[3];
    this.scale = drawn.scale ?? 1 / Math.sqrt(headDim);
    this.query = Float64Array.from(drawn.query.data);
    this.key = Float64Array.from(drawn.key.data);
    this.value = Float64Array.from(drawn.value.data);
    this.used = this.value;
    this.factorError = new Float64Array(this.value.length / headDim);
    if (drawn.vScale?.mode === "full") {
      const value = toTwin(drawn.value), constant = toTwin(drawn.vScale.constant);
      this.used = reference.vScaleForward({ value, constant }).scaledValue.data;
      for (let row = 0; row < this.factorError.length; row++) {
        const { r, phi, sum } = valve(this, row, drawn.vScale.constant);
        // Relative to φ: r's error, the sum's, the division, and a flushed r.
        this.factorError[row] = r === 0
          ? 0
          : (headDim + 9) * U + headDim * FLUSH / (sum * Math.max(phi, FLUSH));
      }
    }
  }

  get rows(): number {
    return this.shape[0] * this.shape[1] * this.shape[2];
  }

  /** The first element of the key head that query head `head` (counted over the batch) reads. */
  keyStart(head: number): number {
    const [, queryHeads, length, headDim] = this.shape;
    const group = queryHeads / this.keyHeads;
    const keyHead = Math.floor(head / queryHeads) * this.keyHeads +
      Math.floor((head % queryHeads) / group);
    return keyHead * length * headDim;
  }

  /** A logit and the bound of its error. */
  logit(row: number, keyRow: number): { z: number; error: number } {
    const headDim = this.shape[3];
    let product = 0, magnitude = 0;
    for (let i = 0; i < headDim; i++) {
      const term = this.query[row * headDim + i]! * this.key[keyRow * headDim + i]!;
      product += term;
      magnitude += Math.abs(term);
    }
    const scale = Math.abs(this.scale);
    return {
      z: this.scale * product,
      error: scale * ((chain(headDim) + 2) * U * magnitude + 2 * headDim * FLUSH) + FLUSH +
        scale * halfProductError(this, { row, keyRow, rounding: this.#rounding }),
    };
  }
}

function valve(
  { value, shape, keyHeads }: Pass,
  row: number,
  constants: Numbers,
): { r: number; c: number; sum: number; phi: number } {
  const [, , length, headDim] = shape;
  const at = { offsetA: row * headDim, offsetB: row * headDim, length: headDim };
  const r = reference.dot(value, value, at);
  const c = constants.data[Math.floor(row / length) % keyHeads]!;
  return { r, c, sum: r + c, phi: r / (r + c) };
}

/**
 * Bounds of attentionForward's errors.
 *
 * Weight j of a row is exp(z_j − m), m the running maximum, which cancels; the tiles' corrections multiply it by
 * further exponentials whose arguments add up to at most the row's range. The weights' errors that do not cancel
 * against the denominator's are Δa_j ≤ a_j (exp(ρ_j)/Σ a exp(−ρ) − 1), and no more than those of all others together.
 */
export function attentionForwardBounds(
  drawn: AttentionCase,
  rounding?: HalfRounding,
): { output: Float64Array; logSumExp: Float64Array } {
  const pass = new Pass(drawn, rounding);
  const [, , length, headDim] = pass.shape;
  const output = new Float64Array(pass.rows * headDim);
  const logSumExp = new Float64Array(pass.rows);
  const half = roundingOfWeights(rounding);
  const z = new Float64Array(length), rho = new Float64Array(length), a = new Float64Array(length);
  for (let row = 0; row < pass.rows; row++) {
    const t = row % length;
    const keyRows = pass.keyStart(Math.floor(row / length)) / headDim;
    const tiles = Math.floor(t / 32) + 1;
    let largest = -Infinity, smallest = Infinity;
    for (let j = 0; j <= t; j++) {
      const logit = pass.logit(row, keyRows + j);
      z[j] = logit.z;
      rho[j] = logit.error;
      largest = Math.max(largest, logit.z);
      smallest = Math.min(smallest, logit.z);
    }
    let denominator = 0;
    for (let j = 0; j <= t; j++) {
      // Corrections of the tiles walk at most from this logit to the row's maximum, and back never.
      const range = largest - z[j]!;
      // In the subgroup kernels the maximum lags behind by 4 powers of two at most, from the second tile on.
      const lag = tiles > 1 ? 2 * U * 2 * 4 : 0;
      rho[j]! += 5 * U * range + 8 * U * tiles + lag + pass.factorError[keyRows + j]!;
      a[j] = Math.exp(z[j]! - largest);
      denominator += a[j]!;
    }
    let up = 0, down = 0;
    for (let j = 0; j <= t; j++) {
      a[j]! /= denominator;
      up += a[j]! * Math.exp(rho[j]!);
      down += a[j]! * Math.exp(-rho[j]!);
    }
    const relative = (j: number) =>
      Math.max(Math.exp(rho[j]!) / down - 1, 1 - Math.exp(-rho[j]!) / up);
    let total = 0;
    for (let j = 0; j <= t; j++) total += a[j]! * relative(j);
    // Each term is added to up to 32 others of its tile, multiplied by a correction a tile, then divided.
    const terms = Math.min(t + 1, 32) + 3 * tiles + 8;
    for (let j = 0; j <= t; j++) {
      const off = a[j]! * relative(j);
      const weight = Math.min(off, total - off + a[j]! * pass.factorError[keyRows + j]! + 10 * U) +
        a[j]! * (terms * U + 6 * tiles * U + DIVISION + half.relative) +
        half.smallest + 2 * FLUSH;
      for (let i = 0; i < headDim; i++) {
        const v = Math.abs(pass.used[(keyRows + j) * headDim + i]!);
        output[row * headDim + i]! += weight * v + 2 * FLUSH;
      }
    }
    const sum = Math.log(denominator);
    logSumExp[row] = Math.max(Math.log(up), -Math.log(down)) + (terms + 4 * tiles) * U +
      Math.max(6 * U * sum, denominator < 2 && denominator > 1 ? 2 ** -21 : 0) +
      2 * U * Math.abs(largest + sum);
  }
  return { output, logSumExp };
}

/** What attentionBackward is given beside the forward's arguments. */
export interface BackwardInputs {
  readonly output: Numbers;
  readonly logSumExp: Numbers;
  /** How far these may be from the exact ones, where the backward is to be compared with the exact gradients. */
  readonly errors?: { readonly output: Float64Array; readonly logSumExp: Float64Array };
}

/** Bounds of attentionBackward's errors, for one and the same float32 output and logSumExp on both sides. */
export interface AttentionBackwardBounds {
  readonly queryGradient: Float64Array;
  readonly keyGradient: Float64Array;
  readonly valueGradient: Float64Array;
  readonly constantGradient: Float64Array;
}

/**
 * Bounds of attentionBackward's errors. The probability exp(z − logSumExp) has the logit's error and exp's; the logit's
 * gradient a (f ⟨g, v⟩ − D) those of both inner products besides; then sums over at most T · group terms.
 */
export function attentionBackwardBounds(
  drawn: AttentionCase,
  { output, logSumExp, errors }: BackwardInputs,
  rounding?: HalfRounding,
): AttentionBackwardBounds {
  const pass = new Pass(drawn, rounding);
  const [, queryHeads, length, headDim] = pass.shape;
  const group = queryHeads / pass.keyHeads;
  const g = drawn.outputGradient.data;
  const queryGradient = new Float64Array(pass.rows * headDim);
  const keyGradient = new Float64Array(pass.key.length);
  const used = new Float64Array(pass.key.length); // bounds of u = ∂L/∂(used value)
  const gradient = new Float64Array(pass.key.length); // u
  const scale = Math.abs(pass.scale);
  const half = roundingOfWeights(rounding);
  const small = rounding === undefined ? undefined : new SmallWeights(pass);
  for (let row = 0; row < pass.rows; row++) {
    const t = row % length;
    const keyRows = pass.keyStart(Math.floor(row / length)) / headDim;
    const q = row * headDim;
    let rowDot = 0, rowMagnitude = 0, given = 0;
    for (let i = 0; i < headDim; i++) {
      const term = g[q + i]! * output.data[q + i]!;
      rowDot += term;
      rowMagnitude += Math.abs(term);
      given += Math.abs(g[q + i]!) * (errors?.output[q + i] ?? 0);
    }
    for (let j = 0; j <= t; j++) {
      const k = (keyRows + j) * headDim;
      const { z, error } = pass.logit(row, keyRows + j);
      const x = z - logSumExp.data[row]!;
      const a = Math.exp(x);
      const rho = Math.expm1(
        error + exponential(x) + 3 * U * Math.abs(x) + (errors?.logSumExp[row] ?? 0),
      );
      let product = 0, magnitude = 0;
      for (let i = 0; i < headDim; i++) {
        const term = g[q + i]! * pass.used[k + i]!;
        product += term;
        magnitude += Math.abs(term);
      }
      const inner = (chain(headDim) + 3) * U * (magnitude + rowMagnitude) +
        magnitude * pass.factorError[keyRows + j]! + 4 * headDim * FLUSH + given;
      const d = a * (product - rowDot);
      // The weight itself may be flushed.
      const weightError = a * rho + FLUSH;
      const dError = a * inner + weightError * (Math.abs(product - rowDot) + inner) +
        2 * U * Math.abs(d) + FLUSH;
      const halfError = half.relative * (Math.abs(d) + dError);
      const queryError = dError + (t + 4) * U * Math.abs(d) + halfError;
      const keyError = dError + (length * group + 4) * U * Math.abs(d) + halfError;
      const valueError = weightError + (length * group + 2) * U * a +
        half.relative * (a + weightError);
      small?.see({ row, keyRow: keyRows + j }, {
        weight: a + weightError,
        gradient: Math.abs(d) + dError,
      });
      for (let i = 0; i < headDim; i++) {
        queryGradient[q + i]! += scale * (queryError * Math.abs(pass.key[k + i]!) + FLUSH) + FLUSH;
        keyGradient[k + i]! += scale * (keyError * Math.abs(pass.query[q + i]!) + FLUSH) + FLUSH;
        used[k + i]! += valueError * Math.abs(g[q + i]!) + FLUSH;
        gradient[k + i]! += a * g[q + i]!;
      }
    }
  }
  small?.addTo({ queryGradient, keyGradient, used }, g);
  const constantGradient = new Float64Array(pass.keyHeads);
  if (drawn.vScale === undefined) {
    return { queryGradient, keyGradient, valueGradient: used, constantGradient };
  }
  const bounds = vScaleBackwardBounds({
    value: drawn.value,
    constant: drawn.vScale.constant,
    gradient,
    gradientError: used,
    chain: headDim / 4 + 12,
  });
  return { queryGradient, keyGradient, ...bounds };
}

/** Bounds of attentionSinkStatistics' errors, for one and the same float32 logSumExp on both sides. */
export function sinkStatisticsBounds(
  drawn: AttentionCase,
  { logSumExp, position, window }: {
    readonly logSumExp: Numbers;
    readonly position: number;
    readonly window: number;
  },
): { mass: Float64Array; secondMoment: Float64Array; score: Float64Array } {
  const pass = new Pass(drawn);
  const [batch, queryHeads, length, headDim] = pass.shape;
  const heads = batch * queryHeads;
  const mass = new Float64Array(heads);
  const secondMoment = new Float64Array(heads);
  const score = new Float64Array(heads);
  const end = Math.min(position + window, length);
  // Every 64th row, then the 64 invocations' sums, of which those without a row are exact zeros.
  const terms = Math.ceil((length - position) / 64) + Math.min(length - position, 64);
  for (let head = 0; head < heads; head++) {
    const keyRow = pass.keyStart(head) / headDim + position;
    for (let t = position; t < length; t++) {
      const row = head * length + t;
      const { z, error } = pass.logit(row, keyRow);
      const x = z - logSumExp.data[row]!;
      const a = Math.exp(x);
      const rho = Math.expm1(error + exponential(x) + 3 * U * Math.abs(x));
      mass[head]! += a * (rho + terms * U) + FLUSH;
      secondMoment[head]! += a * a * (2 * rho + rho * rho + (terms + 1) * U) + FLUSH;
      if (t < end) score[head]! += (a * (rho + terms * U + DIVISION) + FLUSH) / (end - position);
    }
  }
  return { mass, secondMoment, score };
}

/** Bounds of vScaleForward's errors: ‖v‖² in D steps, a sum, a division, a product. */
export function vScaleForwardBounds(value: Numbers, constant: Numbers): Float64Array {
  const [, heads, length, headDim] = value.shape as [number, number, number, number];
  const data = Float64Array.from(value.data);
  return data.map((v, i) => {
    const row = Math.floor(i / headDim);
    const at = { offsetA: row * headDim, offsetB: row * headDim, length: headDim };
    const r = reference.dot(data, data, at);
    const sum = r + constant.data[Math.floor(row / length) % heads]!;
    // ∂φ/∂r · r = φ (1 − φ): an error of r counts less the wider the valve is open.
    const phi = r / sum;
    const relative = (headDim + 1) * U * (1 - phi) + U + DIVISION + U;
    return Math.abs(v) * (phi * relative + headDim * FLUSH / sum) + 2 * FLUSH;
  });
}

/**
 * Bounds of V-scale's backward errors: that of the gradient coming in, passed through |J_φ|, and those of φ, of the
 * factor 2C/(r + C)² and of ⟨v, u⟩.
 *
 * @param options value and constant; the incoming gradient u with a bound of its error; the chain of ⟨v, u⟩
 */
export function vScaleBackwardBounds(
  { value, constant, gradient, gradientError, chain }: {
    readonly value: Numbers;
    readonly constant: Numbers;
    readonly gradient: ArrayLike<number>;
    readonly gradientError: ArrayLike<number>;
    readonly chain: number;
  },
): { valueGradient: Float64Array; constantGradient: Float64Array } {
  const [batch, heads, length, headDim] = value.shape as [number, number, number, number];
  const v = value.data;
  const valueGradient = new Float64Array(v.length);
  const constantGradient = new Float64Array(heads);
  const terms = batch * Math.ceil(length / 64) + Math.min(length, 64);
  for (let row = 0; row < v.length / headDim; row++) {
    const head = Math.floor(row / length) % heads;
    const c = constant.data[head]!;
    let r = 0, product = 0, magnitude = 0, incoming = 0;
    for (let i = row * headDim; i < (row + 1) * headDim; i++) {
      r += v[i]! ** 2;
      product += v[i]! * gradient[i]!;
      magnitude += Math.abs(v[i]! * gradient[i]!);
      incoming += Math.abs(v[i]!) * gradientError[i]!;
    }
    const sum = r + c, phi = r / sum;
    const squareError = (headDim + 1) * U; // of r
    const productError = incoming + (chain + 1) * U * magnitude + headDim * FLUSH;
    const phiError = phi * (squareError * (1 - phi) + U + DIVISION) + headDim * FLUSH / sum;
    const along = 2 * c / sum ** 2;
    const alongError = along * (2 * (squareError * phi + U) + 2 * DIVISION + 2 * U) +
      FLUSH * (1 + 1 / sum);
    for (let i = row * headDim; i < (row + 1) * headDim; i++) {
      const u = Math.abs(gradient[i]!), x = Math.abs(v[i]!);
      valueGradient[i] = phi * gradientError[i]! + phiError * (u + gradientError[i]!) +
        x * (along * productError + alongError * (Math.abs(product) + productError)) +
        2 * U * (phi * u + along * Math.abs(product) * x) + 3 * FLUSH;
    }
    const factor = phi / sum;
    const factorError = phiError / sum + factor * (squareError * phi + U + DIVISION) + FLUSH;
    constantGradient[head]! += factor * productError +
      (factorError + factor * (terms + 2) * U) * (Math.abs(product) + productError) + FLUSH;
  }
  return { valueGradient, constantGradient };
}

/** Bounds of rmsNormForward's errors. */
export function rmsNormForwardBounds(
  { input, gain, epsilon }: {
    readonly input: Numbers;
    readonly gain: Numbers;
    readonly epsilon: number;
  },
): { output: Float64Array; inverseRms: Float64Array } {
  const columns = gain.data.length;
  const output = new Float64Array(input.data.length);
  const inverseRms = new Float64Array(input.data.length / columns);
  const terms = Math.ceil(columns / 64) + Math.min(columns, 64);
  for (let row = 0; row < inverseRms.length; row++) {
    let squares = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) squares += input.data[i]! ** 2;
    const mean = squares / columns, inside = mean + epsilon;
    // Half of what is under the root, then the root (a division and 2 ulp) and the division.
    const relative = ((terms + 1) * U + DIVISION + U + U + FLUSH / inside) / 2 + 4 * U +
      2 * DIVISION;
    const inverse = 1 / Math.sqrt(inside);
    inverseRms[row] = inverse * relative;
    for (let c = 0; c < columns; c++) {
      const y = Math.abs(gain.data[c]! * input.data[row * columns + c]! * inverse);
      output[row * columns + c] = y * (relative + 2 * U) + FLUSH * (1 + Math.abs(gain.data[c]!));
    }
  }
  return { output, inverseRms };
}

// The most additions that a row's term of the gain's gradient goes through. Runs of 16 rows or more, 256 of them at
// most; or tiles of 32 rows, where rows that begin at the same distance from a multiple of 4 are summed apart.
function gainChain(rows: number, columns: number): number {
  if (rows <= 512) return rows;
  const run = Math.max(16, Math.ceil(rows / 256));
  const phases = columns % 4 === 0 ? 1 : columns % 2 === 0 ? 2 : 4;
  const tiled = columns < 4 ? 0 : 32 / phases + Math.ceil(rows / 32) * phases + 3;
  return Math.max(run + Math.ceil(rows / run), tiled);
}

/** Bounds of rmsNormBackward's errors, for one and the same float32 inverseRms on both sides. */
export function rmsNormBackwardBounds(
  { input, gain, inverseRms, outputGradient }: {
    readonly input: Numbers;
    readonly gain: Numbers;
    readonly inverseRms: Numbers;
    readonly outputGradient: Numbers;
  },
): { inputGradient: Float64Array; gainGradient: Float64Array } {
  const columns = gain.data.length;
  const rows = inverseRms.data.length;
  const inputGradient = new Float64Array(input.data.length);
  const gainGradient = new Float64Array(columns);
  const terms = Math.ceil(columns / 64) + Math.min(columns, 64);
  const gainTerms = gainChain(rows, columns);
  for (let row = 0; row < rows; row++) {
    const inverse = inverseRms.data[row]!;
    let mean = 0, magnitude = 0;
    for (let c = 0; c < columns; c++) {
      const i = row * columns + c;
      const term = gain.data[c]! * outputGradient.data[i]! * input.data[i]! * inverse / columns;
      mean += term;
      magnitude += Math.abs(term);
    }
    const meanError = ((terms + 3) * U + DIVISION) * magnitude + FLUSH * (1 + 4 * inverse);
    for (let c = 0; c < columns; c++) {
      const i = row * columns + c;
      const normal = Math.abs(input.data[i]! * inverse);
      const u = Math.abs(gain.data[c]! * outputGradient.data[i]!);
      inputGradient[i] = inverse *
          (normal * (meanError + 4 * U * Math.abs(mean)) + 3 * U * u + 4 * FLUSH) + FLUSH;
      gainGradient[c]! += (gainTerms + 3) * U * normal * Math.abs(outputGradient.data[i]!) +
        2 * FLUSH * (1 + Math.abs(outputGradient.data[i]!));
    }
  }
  return { inputGradient, gainGradient };
}
