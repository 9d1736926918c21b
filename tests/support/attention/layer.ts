/**
 * The numbers of one attention layer, from the float64 twin or a GPU, and the float64 quantities in
 * the formulas of identities.ts and gradient_bounds.ts.
 */
import * as reference from "../../../src/reference/mod.ts";
import { inner, norm, type Plain } from "../vectors.ts";

/** One attention layer's inputs, outputs and gradients, under the API's names. */
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

// The smallest normal float32 number: a GPU may flush a smaller weight to zero.
export const TINY = 2 ** -126;

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

  /**
   * Row t of a head of an array [B, Hq, T, D] or [B, Hkv, T, D]. Heads are numbered through the
   * whole batch.
   */
  row(data: Float64Array, head: number, t: number): Float64Array {
    const start = (head * this.length + t) * this.headDim;
    return data.subarray(start, start + this.headDim);
  }

  /** a_tj of a query head. */
  weight(head: number, t: number, j: number): number {
    return this.weights[(head * this.length + t) * this.length + j]!;
  }

  /** The key head that a query head reads. Both are numbered through the whole batch. */
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

  eachKey(visit: (keyHead: number, s: number, where: string) => void): void {
    for (let keyHead = 0; keyHead < this.batch * this.keyHeads; keyHead++) {
      for (let s = 0; s < this.length; s++) visit(keyHead, s, `key head ${keyHead}, position ${s}`);
    }
  }

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

  /** ‖g_t‖ (‖v_s‖ + Σ_j a_tj ‖v_j‖), which bounds the magnitudes of the terms of β_ts. */
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

export function layerOf(numbers: AttentionNumbers): Layer {
  const layer = layers.get(numbers) ?? new Layer(numbers);
  layers.set(numbers, layer);
  return layer;
}

export function rowOf(plain: Plain, row: number): Float64Array {
  const width = plain.shape[plain.shape.length - 1]!;
  return Float64Array.from({ length: width }, (_, i) => plain.data[row * width + i]!);
}

/**
 * Sums over the query heads that read a key head: Σ_{t≥s} a_ts g_t as `gradient`, and the norms of
 * its terms, Σ_{t≥s} a_ts ‖g_t‖, as `scale`.
 */
export function aggregatedGradient(
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

/** V-scale at one value row v: v, its head's C, and λ∥ as `gain`; undefined without V-scale. */
export function valveAt(
  numbers: AttentionNumbers,
  at: { keyHead: number; s: number },
): { value: Float64Array; constant: number; gain: number } | undefined {
  if (numbers.vScale === undefined) return undefined;
  const layer = layerOf(numbers);
  const value = layer.row(layer.numbers.value, at.keyHead, at.s);
  const constant = numbers.vScale.constant.data[at.keyHead % layer.keyHeads]!;
  return { value, constant, gain: reference.lambdaParallel(inner(value, value), constant) };
}
