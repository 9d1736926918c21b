/**
 * Bounds of the error of attention's kernels against the float64 twin; ../tolerance.ts has the
 * analysis.
 */
import * as reference from "../../../src/reference/mod.ts";
import { type AttentionCase, toTwin } from "./cases.ts";
import {
  halfProductError,
  type HalfRounding,
  roundingOfWeights,
  SmallWeights,
} from "../half_rounding.ts";
import type { Numbers } from "../on_gpu.ts";
import { vScaleBackwardBounds } from "../rows/tolerance.ts";
import { DIVISION, exponential, FLUSH, U } from "../tolerance.ts";

/**
 * The most operations that round one term of an inner product of D numbers. The barrier-free
 * kernels add D terms one by one. All others add four products per step, which takes D/4 + 4
 * operations.
 */
function chain(headDim: number): number {
  return Math.max(headDim, headDim / 4 + 4);
}

class Pass {
  readonly shape: readonly [number, number, number, number];
  readonly keyHeads: number;
  readonly scale: number;
  readonly query: Float64Array;
  readonly key: Float64Array;
  readonly value: Float64Array;
  /** v, or φ v under V-scale "full". */
  readonly used: Float64Array;
  /** The relative error of V-scale's factor φ per value row; 0 unless V-scale is "full". */
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
        // φ = r / (r + C) has the errors of r, of r + C and of the division, and r may be flushed
        // to zero.
        this.factorError[row] = r === 0
          ? 0
          : (headDim + 9) * U + headDim * FLUSH / (sum * Math.max(phi, FLUSH));
      }
    }
  }

  get rows(): number {
    return this.shape[0] * this.shape[1] * this.shape[2];
  }

  /**
   * The index of the first element of the key head that query head `head` reads. Query heads are
   * numbered through the whole batch.
   */
  keyStart(head: number): number {
    const [, queryHeads, length, headDim] = this.shape;
    const group = queryHeads / this.keyHeads;
    const keyHead = Math.floor(head / queryHeads) * this.keyHeads +
      Math.floor((head % queryHeads) / group);
    return keyHead * length * headDim;
  }

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
 * Weight j of a row is a_j = exp(z_j − m) / Σ_i exp(z_i − m), so errors of the running maximum m
 * cancel. The tiles' corrections multiply a term by further exponentials, whose arguments add up to
 * at most the row's range of logits. If each exponent i is off by at most ρ_i, weight j rises by at
 * most a_j (exp(ρ_j) / Σ_i a_i exp(−ρ_i) − 1), and falls by at most a_j (1 − exp(−ρ_j) / Σ_i a_i
 * exp(ρ_i)). As weights sum to 1, weight j changes by no more than all others together.
 *
 * A learned sink is one more weight at the end, without a value. Only the change to base 2 rounds
 * its logit.
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
  const z = new Float64Array(length + 1);
  const rho = new Float64Array(length + 1), a = new Float64Array(length + 1);
  const sinks = drawn.sinkLogit?.data;
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
    const last = sinks === undefined ? t : t + 1;
    if (sinks !== undefined) {
      const sink = sinks[Math.floor(row / length) % pass.shape[1]]!;
      z[last] = sink;
      rho[last] = 2 * U * Math.abs(sink);
      largest = Math.max(largest, sink);
    }
    const factorError = (j: number) => j > t ? 0 : pass.factorError[keyRows + j]!;
    let denominator = 0;
    for (let j = 0; j <= last; j++) {
      // The exponents of this term and of its corrections add up to at most `range`.
      const range = largest - z[j]!;
      // From the second tile on, the maximum that the subgroup kernels subtract may be too small by
      // up to 4 powers of two. Then the exponents may add up to 2 · 4 more.
      const lag = tiles > 1 ? 2 * U * 2 * 4 : 0;
      rho[j]! += 5 * U * range + 8 * U * tiles + lag + factorError(j);
      a[j] = Math.exp(z[j]! - largest);
      denominator += a[j]!;
    }
    let up = 0, down = 0;
    for (let j = 0; j <= last; j++) {
      a[j]! /= denominator;
      up += a[j]! * Math.exp(rho[j]!);
      down += a[j]! * Math.exp(-rho[j]!);
    }
    const relative = (j: number) =>
      Math.max(Math.exp(rho[j]!) / down - 1, 1 - Math.exp(-rho[j]!) / up);
    let total = 0;
    for (let j = 0; j <= last; j++) total += a[j]! * relative(j);
    // A term is added to at most 32 others of its tile, multiplied by one correction per tile, and
    // divided.
    const terms = Math.min(t + 1, 32) + 3 * tiles + 8;
    for (let j = 0; j <= t; j++) {
      const off = a[j]! * relative(j);
      const weight = Math.min(off, total - off + a[j]! * factorError(j) + 10 * U) +
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

/** attentionBackward's inputs in addition to those of an {@linkcode AttentionCase}. */
export interface BackwardInputs {
  readonly output: Numbers;
  readonly logSumExp: Numbers;
  /** Bounds of the errors of output and logSumExp, to compare the backward with exact gradients. */
  readonly errors?: { readonly output: Float64Array; readonly logSumExp: Float64Array };
}

export interface AttentionBackwardBounds {
  readonly queryGradient: Float64Array;
  readonly keyGradient: Float64Array;
  readonly valueGradient: Float64Array;
  readonly constantGradient: Float64Array;
  readonly sinkLogitGradient: Float64Array;
}

/**
 * Bounds of attentionBackward's errors. Twin and kernel read the same float32 output and logSumExp,
 * unless {@linkcode BackwardInputs} states errors of what the kernel reads.
 *
 * The weight a_tj = exp(z_tj − logSumExp_t) has the errors of the logit and of exp. The logit's
 * gradient is a_tj (f ⟨g_t, v_j⟩ − D_t + ℓ_t), where f is φ with V-scale in mode "full" and else 1,
 * D_t = ⟨g_t, y_t⟩, and ℓ_t is the gradient of logSumExp. So the logit's gradient also has the
 * errors of two inner products. The sums over at most T · group terms round too.
 *
 * The weight of a learned sink has only exp's error. The gradient of the sink sums T · B terms.
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
  const used = new Float64Array(pass.key.length); // bounds of the errors of u = ∂L/∂(used value)
  const gradient = new Float64Array(pass.key.length); // u
  const scale = Math.abs(pass.scale);
  const half = roundingOfWeights(rounding);
  const small = rounding === undefined ? undefined : new SmallWeights(pass);
  const sinkLogitGradient = new Float64Array(queryHeads);
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
    const ofLogSumExp = drawn.logSumExpGradient?.data[row] ?? 0;
    rowDot -= ofLogSumExp;
    rowMagnitude += Math.abs(ofLogSumExp);
    if (drawn.sinkLogit !== undefined) {
      const head = Math.floor(row / length) % queryHeads;
      const x = drawn.sinkLogit.data[head]! - logSumExp.data[row]!;
      const b = Math.exp(x);
      const rho = Math.expm1(
        exponential(x) + 2 * U * Math.abs(x) + (errors?.logSumExp[row] ?? 0),
      );
      const inner = (chain(headDim) + 3) * U * rowMagnitude + headDim * FLUSH + given;
      const terms = Math.ceil(length / 64) * pass.shape[0] + 66;
      sinkLogitGradient[head]! += (b * rho + FLUSH) * (Math.abs(rowDot) + inner) + b * inner +
        terms * U * b * Math.abs(rowDot) + FLUSH;
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
      // The weight itself may be flushed to zero.
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
    const valueGradient = used;
    return { queryGradient, keyGradient, valueGradient, constantGradient, sinkLogitGradient };
  }
  const bounds = vScaleBackwardBounds({
    value: drawn.value,
    constant: drawn.vScale.constant,
    gradient,
    gradientError: used,
    chain: headDim / 4 + 12,
  });
  return { queryGradient, keyGradient, sinkLogitGradient, ...bounds };
}

/** Bounds of attentionSinkStatistics' errors, if GPU and twin have the same logSumExp. */
export function sinkStatisticsBounds(
  drawn: AttentionCase,
  { logSumExp, position, window }: {
    readonly logSumExp: Numbers;
    readonly position: number;
    readonly window: number;
  },
): Record<"mass" | "secondMoment" | "score" | "sinkShare", Float64Array> {
  const pass = new Pass(drawn);
  const [batch, queryHeads, length, headDim] = pass.shape;
  const heads = batch * queryHeads;
  const mass = new Float64Array(heads);
  const secondMoment = new Float64Array(heads);
  const score = new Float64Array(heads);
  const sinkShare = new Float64Array(heads);
  const end = Math.min(position + window, length);
  // Each of 64 invocations sums every 64th row. Then the 64 sums are added. An invocation without a
  // row has a sum of exactly 0, so adding it rounds nothing.
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
    for (let t = 0; drawn.sinkLogit !== undefined && t < length; t++) {
      const x = drawn.sinkLogit.data[head % queryHeads]! - logSumExp.data[head * length + t]!;
      const b = Math.exp(x);
      const rho = Math.expm1(exponential(x) + 2 * U * Math.abs(x));
      const rows = Math.ceil(length / 64) + 64;
      sinkShare[head]! += (b * (rho + rows * U + DIVISION) + FLUSH) / length;
    }
  }
  return { mass, secondMoment, score, sinkShare };
}
