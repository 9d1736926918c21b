/**
 * The exact identities and bounds of the gradient-sink theory for attention's gradients, as functions
 * of plain numbers: they look at inputs, outputs and gradients of whatever computed them, the float64
 * twin or a GPU, and say how far these are from what must hold. RMSNorm's and V-scale's are in
 * row_identities.ts.
 *
 * Numbers in brackets are those of the formulas: "3.x" the backward identities of softmax attention
 * in arXiv 2603.17771, with g = ∂L/∂y, β_ts = ⟨g_t, v_s − y_t⟩, M_s = Σ_t a_ts, S_s = Σ_t a_ts².
 * Where query heads share a key head, sums run over the group. With V-scale in mode "full" v̂ stands
 * for v in the formulas, and J_φ(v) maps the gradient of v̂ to that of v in either mode.
 *
 * An equality's violation is |left − right| over a stated scale, the sum of the magnitudes that were
 * added up, so that float32 results come out at a small multiple of 2^-24 if no logit is large. An
 * inequality's violation is (left − right)/right, or over another stated scale: negative where it holds,
 * 0 where it is attained.
 */
import * as reference from "../../src/reference/mod.ts";

/** A tensor of anybody's: the elements in row-major order, and the shape. */
export interface Plain {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}

/** Everything that one attention layer computed, forward and backward, under the API's names. */
export interface AttentionNumbers {
  readonly query: Plain;
  readonly key: Plain;
  readonly value: Plain;
  readonly output: Plain;
  readonly logSumExp: Plain;
  readonly outputGradient: Plain;
  readonly queryGradient: Plain;
  readonly keyGradient: Plain;
  readonly valueGradient: Plain;
  readonly constantGradient?: Plain | undefined;
  readonly scale?: number | undefined;
  readonly vScale?:
    | { readonly constant: Plain; readonly mode: "full" | "backward-only" }
    | undefined;
}

/** How far something is from what must hold. */
export interface Violation {
  /** The largest violation; Infinity where a NaN or a nonzero number over a scale of 0 came up. */
  readonly worst: number;
  /** Which element or row it was. */
  readonly where: string;
  /** How many comparisons were made: to be asserted positive. */
  readonly compared: number;
}

/** Keeps the largest violation seen. */
export class Worst {
  #worst = -Infinity;
  #where = "nothing was compared";
  #compared = 0;

  /** Records excess/scale; a scale of 0 demands an excess of at most 0. */
  see(excess: number, scale: number, where: string): void {
    this.#compared++;
    const ratio = excess === 0 ? 0 : scale === 0 && excess < 0 ? 0 : excess / scale;
    const violation = Number.isNaN(ratio) ? Infinity : ratio;
    if (violation > this.#worst) {
      this.#worst = violation;
      this.#where = where;
    }
  }

  /** What was seen. */
  result(): Violation {
    return { worst: this.#worst, where: this.#where, compared: this.#compared };
  }
}

/** ⟨a, b⟩ */
export function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** ‖a‖ */
export function norm(a: ArrayLike<number>): number {
  return Math.sqrt(inner(a, a));
}

/** ‖a − b‖ */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum);
}

/** J_φ(v) g by V-scale's eigenvectors: λ∥ on the part of g along v, λ⊥ on the rest (5.1). */
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

// The smallest normal float32 number: what a weight below it becomes on a GPU is not an error.
const TINY = 2 ** -126;

/** The float64 quantities that the formulas are made of, for one layer. */
class Layer {
  readonly batch: number;
  readonly queryHeads: number;
  readonly keyHeads: number;
  readonly length: number;
  readonly headDim: number;
  readonly scale: number;
  readonly weights: Float64Array;
  readonly numbers: Readonly<Record<"query" | "key" | "value" | "output" | "g", Float64Array>>;
  /** v, or v̂ in mode "full" */
  readonly used: Float64Array;

  constructor(numbers: AttentionNumbers) {
    const copy = (plain: Plain) => reference.tensor(plain.data, plain.shape);
    const query = copy(numbers.query), key = copy(numbers.key), value = copy(numbers.value);
    const [batch, queryHeads, length, headDim] = query.shape as [number, number, number, number];
    this.batch = batch;
    this.queryHeads = queryHeads;
    this.length = length;
    this.headDim = headDim;
    this.keyHeads = key.shape[1]!;
    this.scale = numbers.scale ?? 1 / Math.sqrt(headDim);
    this.weights = reference.attentionWeights({ query, key, scale: this.scale }).data;
    this.used = numbers.vScale?.mode === "full"
      ? reference.vScaleForward({ value, constant: copy(numbers.vScale.constant) }).scaledValue.data
      : value.data;
    this.numbers = {
      query: query.data,
      key: key.data,
      value: value.data,
      output: copy(numbers.output).data,
      g: copy(numbers.outputGradient).data,
    };
  }

  /** Row t of query head h (counted over the batch) of a [B, Hq, T, D] array. */
  row(data: Float64Array, head: number, t: number): Float64Array {
    const start = (head * this.length + t) * this.headDim;
    return data.subarray(start, start + this.headDim);
  }

  /** a_tj of a query head. */
  weight(head: number, t: number, j: number): number {
    return this.weights[(head * this.length + t) * this.length + j]!;
  }

  /** The key head, counted over the batch, that a query head reads. */
  keyHead(head: number): number {
    const b = Math.floor(head / this.queryHeads);
    const group = this.queryHeads / this.keyHeads;
    return b * this.keyHeads + Math.floor((head % this.queryHeads) / group);
  }

  /** The query heads that read a key head. */
  readers(keyHead: number): number[] {
    const heads = Array.from({ length: this.batch * this.queryHeads }, (_, head) => head);
    return heads.filter((head) => this.keyHead(head) === keyHead);
  }

  /** Calls back for every key head and position. */
  eachKey(visit: (keyHead: number, s: number, where: string) => void): void {
    for (let keyHead = 0; keyHead < this.batch * this.keyHeads; keyHead++) {
      for (let s = 0; s < this.length; s++) visit(keyHead, s, `key head ${keyHead}, position ${s}`);
    }
  }

  /** Calls back for every query head and position. */
  eachQuery(visit: (head: number, t: number, where: string) => void): void {
    for (let head = 0; head < this.batch * this.queryHeads; head++) {
      for (let t = 0; t < this.length; t++) visit(head, t, `query head ${head}, position ${t}`);
    }
  }

  /** β_ts = ⟨g_t, v_s − y_t⟩ */
  beta(head: number, t: number, s: number): number {
    const g = this.row(this.numbers.g, head, t);
    const v = this.row(this.used, this.keyHead(head), s);
    return inner(g, v) - inner(g, this.row(this.numbers.output, head, t));
  }

  /** ‖g_t‖ (‖v_s‖ + Σ_j a_tj ‖v_j‖): the magnitudes that β_ts is the difference of. */
  betaScale(head: number, t: number, s: number): number {
    let mean = 0;
    for (let j = 0; j <= t; j++) {
      mean += this.weight(head, t, j) * norm(this.row(this.used, this.keyHead(head), j));
    }
    const v = norm(this.row(this.used, this.keyHead(head), s));
    return norm(this.row(this.numbers.g, head, t)) * (v + mean);
  }
}

const layers = new WeakMap<AttentionNumbers, Layer>();

function layerOf(numbers: AttentionNumbers): Layer {
  const layer = layers.get(numbers) ?? new Layer(numbers);
  layers.set(numbers, layer);
  return layer;
}

function rowOf(plain: Plain, row: number): Float64Array {
  const width = plain.shape[plain.shape.length - 1]!;
  return Float64Array.from({ length: width }, (_, i) => plain.data[row * width + i]!);
}

/** Σ_{t≥s} a_ts g_t over a key head's readers, and Σ a_ts ‖g_t‖ as its scale. */
function aggregatedGradient(
  layer: Layer,
  at: { keyHead: number; s: number },
): { gradient: Float64Array; scale: number } {
  const gradient = new Float64Array(layer.headDim);
  let scale = 0;
  for (const head of layer.readers(at.keyHead)) {
    for (let t = at.s; t < layer.length; t++) {
      const a = layer.weight(head, t, at.s);
      const g = layer.row(layer.numbers.g, head, t);
      for (let i = 0; i < gradient.length; i++) gradient[i]! += a * g[i]!;
      scale += (a + TINY) * norm(g);
    }
  }
  return { gradient, scale };
}

/** What V-scale does to a gradient at one value row: nothing without V-scale. */
function valveAt(
  numbers: AttentionNumbers,
  at: { keyHead: number; s: number },
): { value: Float64Array; constant: number; gain: number } | undefined {
  if (numbers.vScale === undefined) return undefined;
  const layer = layerOf(numbers);
  const value = layer.row(layer.numbers.value, at.keyHead, at.s);
  const constant = numbers.vScale.constant.data[at.keyHead % layer.keyHeads]!;
  return { value, constant, gain: reference.lambdaParallel(inner(value, value), constant) };
}

/** 3.1, 5.1: ∇_{v_s}L = Σ_{t≥s} a_ts g_t, through J_φ(v_s) with V-scale. Scale: λ∥ Σ_t a_ts ‖g_t‖. */
export function valuePath(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  layer.eachKey((keyHead, s, where) => {
    const { gradient, scale } = aggregatedGradient(layer, { keyHead, s });
    const valve = valveAt(numbers, { keyHead, s });
    const wanted = valve === undefined ? gradient : throughValve(gradient, valve);
    const actual = rowOf(numbers.valueGradient, keyHead * layer.length + s);
    worst.see(distance(actual, wanted), scale * (valve?.gain ?? 1), where);
  });
  return worst.result();
}

/**
 * 3.2: ∇_{k_s}L = scale Σ_{t≥s} a_ts β_ts q_t. Scale: |scale| Σ_t a_ts ‖g_t‖ (‖v_s‖ + Σ_j a_tj ‖v_j‖) ‖q_t‖.
 */
export function keyPath(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  layer.eachKey((keyHead, s, where) => {
    const wanted = new Float64Array(layer.headDim);
    let scale = 0;
    for (const head of layer.readers(keyHead)) {
      for (let t = s; t < layer.length; t++) {
        const q = layer.row(layer.numbers.query, head, t);
        const a = layer.weight(head, t, s);
        const factor = layer.scale * a * layer.beta(head, t, s);
        for (let i = 0; i < q.length; i++) wanted[i]! += factor * q[i]!;
        scale += Math.abs(layer.scale) * (a + TINY) * layer.betaScale(head, t, s) * norm(q);
      }
    }
    worst.see(
      distance(rowOf(numbers.keyGradient, keyHead * layer.length + s), wanted),
      scale,
      where,
    );
  });
  return worst.result();
}

/**
 * 3.3: ∇_{q_s}L = scale Σ_{j≤s} a_sj β_sj k_j. Scale: |scale| Σ_j a_sj ‖g_s‖ (‖v_j‖ + Σ_i a_si ‖v_i‖) ‖k_j‖.
 */
export function queryPath(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  layer.eachQuery((head, s, where) => {
    const wanted = new Float64Array(layer.headDim);
    let scale = 0;
    for (let j = 0; j <= s; j++) {
      const k = layer.row(layer.numbers.key, layer.keyHead(head), j);
      const a = layer.weight(head, s, j);
      const factor = layer.scale * a * layer.beta(head, s, j);
      for (let i = 0; i < k.length; i++) wanted[i]! += factor * k[i]!;
      scale += Math.abs(layer.scale) * (a + TINY) * layer.betaScale(head, s, j) * norm(k);
    }
    worst.see(
      distance(rowOf(numbers.queryGradient, head * layer.length + s), wanted),
      scale,
      where,
    );
  });
  return worst.result();
}

/** 3.3: ∇_{q_0}L = 0, since a_00 = 1 and y_0 = v_0. Scale: |scale| ‖g_0‖ ‖v_0‖ ‖k_0‖. */
export function firstQueryGradient(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  for (let head = 0; head < layer.batch * layer.queryHeads; head++) {
    const key = norm(layer.row(layer.numbers.key, layer.keyHead(head), 0));
    const value = norm(layer.row(layer.used, layer.keyHead(head), 0));
    const g = norm(layer.row(layer.numbers.g, head, 0));
    worst.see(
      norm(rowOf(numbers.queryGradient, head * layer.length)),
      Math.abs(layer.scale) * g * value * key,
      `query head ${head}, position 0`,
    );
  }
  return worst.result();
}

/**
 * 3.4: Σ_{j≤s} ∂L/∂z_sj = Σ_j a_sj β_sj = 0, with the output as computed: a wrong one shows here.
 * Scale: ‖g_s‖ Σ_j a_sj ‖v_j‖.
 */
export function logitRowsSumToZero(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  layer.eachQuery((head, s, where) => {
    let sum = 0;
    let scale = 0;
    for (let j = 0; j <= s; j++) {
      sum += layer.weight(head, s, j) * layer.beta(head, s, j);
      scale += layer.weight(head, s, j) * norm(layer.row(layer.used, layer.keyHead(head), j));
    }
    worst.see(Math.abs(sum), norm(layer.row(layer.numbers.g, head, s)) * scale, where);
  });
  return worst.result();
}

/**
 * 3.4 as it shows in the key gradients: Σ_s ∇_{k_s}L = scale Σ_t (Σ_s ∂L/∂z_ts) q_t = 0 for every key
 * head. Scale: Σ_t |scale| ‖q_t‖ ‖g_t‖ 2 Σ_j a_tj ‖v_j‖.
 */
export function keyGradientsSumToZero(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  for (let keyHead = 0; keyHead < layer.batch * layer.keyHeads; keyHead++) {
    const sum = new Float64Array(layer.headDim);
    let scale = 0;
    for (let s = 0; s < layer.length; s++) {
      rowOf(numbers.keyGradient, keyHead * layer.length + s).forEach((x, i) => sum[i]! += x);
    }
    for (const head of layer.readers(keyHead)) {
      for (let t = 0; t < layer.length; t++) {
        const q = norm(layer.row(layer.numbers.query, head, t));
        for (let j = 0; j <= t; j++) {
          const a = layer.weight(head, t, j);
          scale += Math.abs(layer.scale) * q * a * layer.betaScale(head, t, j);
        }
      }
    }
    worst.see(norm(sum), scale, `key head ${keyHead}`);
  }
  return worst.result();
}

/**
 * Σ_t ⟨q_t, ∇_{q_t}L⟩ = Σ_s ⟨k_s, ∇_{k_s}L⟩ over a group, both being ∂L/∂ log scale: ties the query
 * path to the key path. Scale: Σ_t Σ_j |scale| a_tj ‖q_t‖ ‖k_j‖ ‖g_t‖ (‖v_j‖ + Σ_i a_ti ‖v_i‖).
 */
export function queryAndKeyAgree(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  for (let keyHead = 0; keyHead < layer.batch * layer.keyHeads; keyHead++) {
    let difference = 0;
    let scale = 0;
    for (let s = 0; s < layer.length; s++) {
      const k = layer.row(layer.numbers.key, keyHead, s);
      difference -= inner(k, rowOf(numbers.keyGradient, keyHead * layer.length + s));
      for (const head of layer.readers(keyHead)) {
        const q = layer.row(layer.numbers.query, head, s);
        difference += inner(q, rowOf(numbers.queryGradient, head * layer.length + s));
        for (let j = 0; j <= s; j++) {
          const size = norm(q) * norm(layer.row(layer.numbers.key, keyHead, j));
          const a = layer.weight(head, s, j);
          scale += Math.abs(layer.scale) * a * size * layer.betaScale(head, s, j);
        }
      }
    }
    worst.see(Math.abs(difference), scale, `key head ${keyHead}`);
  }
  return worst.result();
}

/**
 * 3.5, with 5.2 under V-scale, for every position:
 * ‖∇_{v_s}L‖ ≤ λ∥ Σ_t a_ts ‖g_t‖ ≤ λ∥ M_s max_{t≥s} ‖g_t‖ and ‖∇_{v_s}L‖ ≤ λ∥ √S_s (Σ_{t≥s} ‖g_t‖²)^½.
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
 * 3.6: ‖∇_{k_s}L‖ ≤ |scale| Q_max B_max M_s, the maxima over t ≥ s, summed over a group. Where β is a
 * difference of nearly equal terms the bound is all rounding, so the excess is measured against the
 * terms: scale as in {@linkcode keyPath}.
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
 * 3.7: ‖∇_{q_s}L‖ ≤ |scale| B_max ΔK_max, ΔK_max being the largest distance of a key from Σ_j a_sj k_j.
 * Scale as in {@linkcode queryPath}, for the reason that 3.6 has.
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
 * 5.3: ∂L/∂C = −Σ_s r_s/(r_s + C)² ⟨v_s, Σ_t a_ts g_t⟩ for every value head; ∂L/∂θ = C ∂L/∂C follows for
 * C = exp θ. Scale: Σ_s r_s/(r_s + C)² ‖v_s‖ Σ_t a_ts ‖g_t‖. Only with V-scale.
 */
export function constantPath(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  const wanted = new Float64Array(layer.keyHeads), scales = new Float64Array(layer.keyHeads);
  layer.eachKey((keyHead, s) => {
    const valve = valveAt(numbers, { keyHead, s });
    if (valve === undefined) return;
    const { gradient, scale } = aggregatedGradient(layer, { keyHead, s });
    const r = inner(valve.value, valve.value);
    const factor = r / (r + valve.constant) ** 2;
    wanted[keyHead % layer.keyHeads]! -= factor * inner(valve.value, gradient);
    scales[keyHead % layer.keyHeads]! += factor * Math.sqrt(r) * scale;
  });
  if (numbers.vScale !== undefined) {
    wanted.forEach((want, head) => {
      const actual = numbers.constantGradient?.data[head] ?? NaN;
      worst.see(Math.abs(actual - want), scales[head]!, `value head ${head}`);
    });
  }
  return worst.result();
}

/**
 * 3.8: M_s² ‖μ‖² ≤ E‖∇_{v_s}L‖² ≤ M_s² ‖μ‖² + σ² S_s + ρ (M_s² − S_s) for g_t = μ + ε_t with zero-mean
 * noise, tr Cov(ε_t) ≤ σ² and |tr Cov(ε_t, ε_t′)| ≤ ρ, from samples of ‖∇_{v_s}L‖² under independent
 * draws of the noise. The sample mean may be off by `standardErrors` of its standard errors (5 of
 * them hold with confidence 1 − 6e-7).
 *
 * @returns The sample mean, both bounds, and the violation in units of the allowance: fine up to 1;
 * `fromUpper` is the signed distance of the mean from the upper bound in the same units, for noise
 * that attains it.
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
