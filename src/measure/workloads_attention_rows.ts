/**
 * Single rows of attention and of its gradients in float64, by the formulas of `src/reference/attention.ts`
 * without its O(T²) work: a check of a large layer looks at some rows. Tests hold these against the twin.
 */
import type { ReferenceVScale } from "../reference/attention.ts";
import { tensor } from "../reference/tensor.ts";
import { vScaleBackward } from "../reference/v_scale.ts";

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
  /** V-scale: its mode, and C of each key head [Hkv]. */
  readonly vScale?: {
    readonly constant: Float32Array;
    readonly mode: ReferenceVScale["mode"];
  };
}

/** What the gradients need besides. */
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
  /** b · H + h */
  readonly head: number;
  /** t */
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

// The key head, counted over the batch, that a query head reads.
function keyHeadOf(numbers: AttentionNumbers, queryHead: number): number {
  const { Hq, Hkv } = numbers.dimensions;
  return Math.floor(queryHead / Hq) * Hkv + Math.floor((queryHead % Hq) / (Hq / Hkv));
}

// φ's factor r / (r + C) of one value row; 1 where the forward uses v itself.
function valueFactor(numbers: AttentionNumbers, keyHead: number, row: number): number {
  const { value, vScale } = numbers;
  if (vScale?.mode !== "full") return 1;
  const { Hkv, D } = numbers.dimensions;
  const r = product(value, value, { a: row * D, b: row * D, length: D });
  return r / (r + vScale.constant[keyHead % Hkv]!);
}

/**
 * One row of attention forward.
 *
 * @param numbers the call's inputs
 * @param place the query head and position
 * @returns `output` [D] and `logSumExp`
 */
export function attentionForwardRow(
  numbers: AttentionNumbers,
  { head, position }: RowPlace,
): { output: Float64Array; logSumExp: number } {
  const { query, key, value } = numbers;
  const { T, D } = numbers.dimensions;
  const keyHead = keyHeadOf(numbers, head);
  const q = (head * T + position) * D;
  const logits = new Float64Array(position + 1);
  for (let j = 0; j <= position; j++) {
    logits[j] = product(query, key, { a: q, b: (keyHead * T + j) * D, length: D }) / Math.sqrt(D);
  }
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  const output = new Float64Array(D);
  for (let j = 0; j <= position; j++) {
    const row = keyHead * T + j;
    const weight = Math.exp(logits[j]! - largest) / sum * valueFactor(numbers, keyHead, row);
    for (let i = 0; i < D; i++) output[i]! += weight * value[row * D + i]!;
  }
  return { output, logSumExp: largest + Math.log(sum) };
}

// a_tj and ∂L/∂z_tj of one pair; `rowDot` is D_t = ⟨g_t, y_t⟩.
function pair(
  numbers: AttentionGradientNumbers,
  { row, keyHead, keyRow }: {
    readonly row: number;
    readonly keyHead: number;
    readonly keyRow: number;
  },
): { weight: number; logitGradient: number } {
  const { query, key, value, output, logSumExp, outputGradient } = numbers;
  const { D } = numbers.dimensions;
  const length = D;
  const logit = product(query, key, { a: row * D, b: keyRow * D, length }) / Math.sqrt(D);
  const weight = Math.exp(logit - logSumExp[row]!);
  const rowDot = product(outputGradient, output, { a: row * D, b: row * D, length });
  const weightGradient = valueFactor(numbers, keyHead, keyRow) *
    product(outputGradient, value, { a: row * D, b: keyRow * D, length });
  return { weight, logitGradient: weight * (weightGradient - rowDot) };
}

/**
 * One row of queryGradient.
 *
 * @param numbers the backward call's inputs
 * @param place the query head and position
 * @returns [D]
 */
export function queryGradientRow(
  numbers: AttentionGradientNumbers,
  { head, position }: RowPlace,
): Float64Array {
  const { T, D } = numbers.dimensions;
  const keyHead = keyHeadOf(numbers, head);
  const gradient = new Float64Array(D);
  for (let j = 0; j <= position; j++) {
    const keyRow = keyHead * T + j;
    const { logitGradient } = pair(numbers, { row: head * T + position, keyHead, keyRow });
    const factor = logitGradient / Math.sqrt(D);
    for (let i = 0; i < D; i++) gradient[i]! += factor * numbers.key[keyRow * D + i]!;
  }
  return gradient;
}

/**
 * One row of keyGradient and of valueGradient.
 *
 * @param numbers the backward call's inputs
 * @param place the key head and position
 * @returns `key` and `value`, each [D], summed over the query heads that read this key head
 */
export function keyValueGradientRow(
  numbers: AttentionGradientNumbers,
  { head, position }: RowPlace,
): { key: Float64Array; value: Float64Array } {
  const { query, value, outputGradient, vScale } = numbers;
  const { Hq, Hkv, T, D } = numbers.dimensions;
  const keyRow = head * T + position;
  const group = Hq / Hkv;
  const keyGradient = new Float64Array(D);
  const valueGradient = new Float64Array(D);
  for (let member = 0; member < group; member++) {
    const queryHead = Math.floor(head / Hkv) * Hq + (head % Hkv) * group + member;
    for (let t = position; t < T; t++) {
      const row = queryHead * T + t;
      const { weight, logitGradient } = pair(numbers, { row, keyHead: head, keyRow });
      const factor = logitGradient / Math.sqrt(D);
      for (let i = 0; i < D; i++) {
        keyGradient[i]! += factor * query[row * D + i]!;
        valueGradient[i]! += weight * outputGradient[row * D + i]!;
      }
    }
  }
  if (vScale === undefined) return { key: keyGradient, value: valueGradient };
  const shape = [1, 1, 1, D];
  const throughValve = vScaleBackward({
    value: tensor(value.subarray(keyRow * D, (keyRow + 1) * D), shape),
    constant: tensor([vScale.constant[head % Hkv]!], [1]),
    scaledValueGradient: tensor(valueGradient, shape),
  });
  return { key: keyGradient, value: throughValve.valueGradient.data };
}
