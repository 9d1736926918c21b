/**
 * Computes single rows of attention and of its gradients in float64, because the check of a large
 * layer needs only some rows. The formulas are those of `src/reference/attention.ts`, which
 * computes all rows with O(T²) work. Tests compare the results of the two files.
 */
import type { ReferenceVScale } from "../../../reference/attention.ts";
import { tensor } from "../../../reference/tensor.ts";
import { vScaleBackward } from "../../../reference/v_scale.ts";

/** The float32 numbers of an attention call, row-major. */
export interface AttentionNumbers {
  /** Lengths by name. */
  readonly dimensions: Readonly<Record<"B" | "Hq" | "Hkv" | "T" | "D", number>>;
  /** [B, Hq, T, D] */
  readonly query: Float32Array;
  /** [B, Hkv, T, D] */
  readonly key: Float32Array;
  /** [B, Hkv, T, D] */
  readonly value: Float32Array;
  /** V-scale: its mode, and its constant C for each key head [Hkv]. */
  readonly vScale?: {
    readonly constant: Float32Array;
    readonly mode: ReferenceVScale["mode"];
  };
  /** The learned sink's logit s of each query head: [Hq]. */
  readonly sinkLogit?: Float32Array;
}

/** Further numbers for the gradients. */
export interface AttentionGradientNumbers extends AttentionNumbers {
  /** [B, Hq, T, D] */
  readonly output: Float32Array;
  /** [B, Hq, T] */
  readonly logSumExp: Float32Array;
  /** [B, Hq, T, D] */
  readonly outputGradient: Float32Array;
}

/** A row of a tensor [B, H, T, …]. */
export interface RowPlace {
  /** b · H + h, for head h of sequence b */
  readonly head: number;
  /** The token t, from 0 on */
  readonly position: number;
}

function product(
  a: Float32Array,
  b: Float32Array,
  at: { readonly a: number; readonly b: number; readonly length: number },
): number {
  let sum = 0;
  for (let i = 0; i < at.length; i++) sum += a[at.a + i]! * b[at.b + i]!;
  return sum;
}

// The key head that a query head reads. Heads are numbered through the whole batch: b · H + h.
function keyHeadOf(numbers: AttentionNumbers, queryHead: number): number {
  const { Hq, Hkv } = numbers.dimensions;
  return Math.floor(queryHead / Hq) * Hkv + Math.floor((queryHead % Hq) / (Hq / Hkv));
}

// V-scale's factor r / (r + C) of one value row v, with r = |v|². It is 1 if the forward pass uses
// v itself.
function valueFactor(numbers: AttentionNumbers, keyHead: number, row: number): number {
  const { value, vScale } = numbers;
  if (vScale?.mode !== "full") return 1;
  const { Hkv, D } = numbers.dimensions;
  const r = product(value, value, { a: row * D, b: row * D, length: D });
  return r / (r + vScale.constant[keyHead % Hkv]!);
}

/**
 * Computes one row of attention forward.
 *
 * @returns `output` [D] and `logSumExp`
 */
export function attentionForwardRow(
  numbers: AttentionNumbers,
  { head, position }: RowPlace,
): { output: Float64Array; logSumExp: number } {
  const { query, key, value, sinkLogit } = numbers;
  const { Hq, T, D } = numbers.dimensions;
  const keyHead = keyHeadOf(numbers, head);
  const q = (head * T + position) * D;
  const logits = new Float64Array(position + 1);
  for (let j = 0; j <= position; j++) {
    logits[j] = product(query, key, { a: q, b: (keyHead * T + j) * D, length: D }) / Math.sqrt(D);
  }
  const sink = sinkLogit?.[head % Hq] ?? -Infinity;
  const largest = logits.reduce((most, logit) => Math.max(most, logit), sink);
  const sum = logits.reduce(
    (total, logit) => total + Math.exp(logit - largest),
    Math.exp(sink - largest),
  );
  const output = new Float64Array(D);
  for (let j = 0; j <= position; j++) {
    const row = keyHead * T + j;
    const weight = Math.exp(logits[j]! - largest) / sum * valueFactor(numbers, keyHead, row);
    for (let i = 0; i < D; i++) output[i]! += weight * value[row * D + i]!;
  }
  return { output, logSumExp: largest + Math.log(sum) };
}

// The weight a_tj of query t and key j, and the gradient of its logit: a_tj (f_j ⟨g_t, v_j⟩ −
// ⟨g_t, y_t⟩), with the output row y_t and its gradient g_t. f_j is V-scale's factor r / (r + C) in
// mode "full", otherwise 1. `magnitude` is the scale of this gradient's rounding error.
function pair(
  numbers: AttentionGradientNumbers,
  { row, keyHead, keyRow }: {
    readonly row: number;
    readonly keyHead: number;
    readonly keyRow: number;
  },
): { weight: number; logitGradient: number; magnitude: number } {
  const { query, key, value, output, logSumExp, outputGradient } = numbers;
  const { D } = numbers.dimensions;
  const length = D;
  const logit = product(query, key, { a: row * D, b: keyRow * D, length }) / Math.sqrt(D);
  const weight = Math.exp(logit - logSumExp[row]!);
  const rowDot = product(outputGradient, output, { a: row * D, b: row * D, length });
  const weightGradient = valueFactor(numbers, keyHead, keyRow) *
    product(outputGradient, value, { a: row * D, b: keyRow * D, length });
  return {
    weight,
    logitGradient: weight * (weightGradient - rowDot),
    magnitude: weight * (Math.abs(weightGradient) + Math.abs(rowDot)),
  };
}

/** A row of a gradient, and the scale of its rounding error. */
export interface GradientRow {
  /** [D] */
  readonly gradient: Float64Array;
  /**
   * The scale of the row's rounding error. Each component of the row is a sum of terms. The scale
   * is the root of the sum of these terms' squares, for the component i with the largest root. The
   * terms may cancel, but their rounding errors do not. In queryGradient, the term of key j has the
   * size a_tj (f_j |⟨g_t, v_j⟩| + |⟨g_t, y_t⟩|) |k_ji|/√D, with V-scale's factor f_j in mode
   * "full", otherwise 1.
   */
  readonly magnitude: number;
}

/** Computes one row of queryGradient. */
export function queryGradientRow(
  numbers: AttentionGradientNumbers,
  { head, position }: RowPlace,
): GradientRow {
  const { T, D } = numbers.dimensions;
  const keyHead = keyHeadOf(numbers, head);
  const gradient = new Float64Array(D);
  const squares = new Float64Array(D);
  for (let j = 0; j <= position; j++) {
    const keyRow = keyHead * T + j;
    const row = head * T + position;
    const { logitGradient, magnitude } = pair(numbers, { row, keyHead, keyRow });
    for (let i = 0; i < D; i++) {
      const k = numbers.key[keyRow * D + i]! / Math.sqrt(D);
      gradient[i]! += logitGradient * k;
      squares[i]! += (magnitude * k) ** 2;
    }
  }
  return { gradient, magnitude: largestRoot(squares) };
}

function largestRoot(squares: Float64Array): number {
  return Math.sqrt(squares.reduce((most, square) => Math.max(most, square), 0));
}

/**
 * Computes one row of keyGradient and of valueGradient.
 *
 * @param place the row's key head and position
 * @returns `key` with the scale of its rounding error, and `value` [D]; both summed over the query
 *   heads that read this key head
 */
export function keyValueGradientRow(
  numbers: AttentionGradientNumbers,
  { head, position }: RowPlace,
): { key: GradientRow; value: Float64Array } {
  const { query, value, outputGradient, vScale } = numbers;
  const { Hq, Hkv, T, D } = numbers.dimensions;
  const keyRow = head * T + position;
  const group = Hq / Hkv;
  const keyGradient = new Float64Array(D);
  const squares = new Float64Array(D);
  const valueGradient = new Float64Array(D);
  for (let member = 0; member < group; member++) {
    const queryHead = Math.floor(head / Hkv) * Hq + (head % Hkv) * group + member;
    for (let t = position; t < T; t++) {
      const row = queryHead * T + t;
      const { weight, logitGradient, magnitude } = pair(numbers, { row, keyHead: head, keyRow });
      for (let i = 0; i < D; i++) {
        const q = query[row * D + i]! / Math.sqrt(D);
        keyGradient[i]! += logitGradient * q;
        squares[i]! += (magnitude * q) ** 2;
        valueGradient[i]! += weight * outputGradient[row * D + i]!;
      }
    }
  }
  const key = { gradient: keyGradient, magnitude: largestRoot(squares) };
  if (vScale === undefined) return { key, value: valueGradient };
  const shape = [1, 1, 1, D];
  const throughValve = vScaleBackward({
    value: tensor(value.subarray(keyRow * D, (keyRow + 1) * D), shape),
    constant: tensor([vScale.constant[head % Hkv]!], [1]),
    scaledValueGradient: tensor(valueGradient, shape),
  });
  return { key, value: throughValve.valueGradient.data };
}

/**
 * sinkLogitGradient of one query head: −Σ_t b_t ⟨g_t, y_t⟩ over all sequences, with the sink's
 * weight b_t = exp(s − logSumExp_t), the output row y_t and its gradient g_t.
 *
 * @param queryHead the head, from 0 to Hq − 1
 * @returns the gradient, and √Σ (b_t ‖g_t ⊙ y_t‖)², the scale of its rounding error
 */
export function sinkLogitGradientOf(
  numbers: AttentionGradientNumbers,
  queryHead: number,
): { gradient: number; magnitude: number } {
  const { output, logSumExp, outputGradient, sinkLogit } = numbers;
  const { B, Hq, T, D } = numbers.dimensions;
  let gradient = 0, squares = 0;
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; t++) {
      const row = (b * Hq + queryHead) * T + t;
      const share = Math.exp(sinkLogit![queryHead]! - logSumExp[row]!);
      for (let i = row * D; i < (row + 1) * D; i++) {
        const term = share * outputGradient[i]! * output[i]!;
        gradient -= term;
        squares += term * term;
      }
    }
  }
  return { gradient, magnitude: Math.sqrt(squares) };
}
