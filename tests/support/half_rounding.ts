/**
 * Errors of attention's kernels that keep tiles in f16. These kernels round the weights, and also
 * queries and keys that f16 does not represent. WGSL may round to either neighbor, and may flush a
 * number below 2^-14 to zero. The kernels scale weights before rounding, so a flushed weight is
 * below 2^-28 of its row's largest.
 */

/** The relative error of rounding to either neighbor in f16, which has 11 significant bits. */
const HALF_U = 2 ** -10;
/** The smallest normal f16. */
const SMALLEST_OPERAND = 2 ** -14;
/** f16 may flush to zero a weight, or a logit's gradient, below this share of its row's largest. */
const SMALLEST_WEIGHT = 2 ** -28;

/** Whether f16 changes a case's queries and keys. */
export interface HalfRounding {
  readonly operands: "rounded" | "representable";
}

/**
 * Bounds the error of a weight. Rounding changes it by at most `relative` × the weight itself;
 * flushing it to zero, by at most `smallest` × the largest weight of its row.
 */
export function roundingOfWeights(
  rounding: HalfRounding | undefined,
): { readonly relative: number; readonly smallest: number } {
  return rounding === undefined
    ? { relative: 0, smallest: 0 }
    : { relative: HALF_U, smallest: SMALLEST_WEIGHT };
}

/** Rows of D numbers. */
interface Rows {
  readonly shape: readonly [number, number, number, number];
  readonly query: Float64Array;
  readonly key: Float64Array;
}

/** Bounds the error of ⟨q, k⟩ that comes from rounding query and key to f16. */
export function halfProductError(
  { shape: [, , , headDim], query, key }: Rows,
  { row, keyRow, rounding }: {
    readonly row: number;
    readonly keyRow: number;
    readonly rounding: HalfRounding | undefined;
  },
): number {
  if (rounding === undefined) return 0;
  const relative = rounding.operands === "rounded" ? HALF_U : 0;
  const off = (x: number) => x < SMALLEST_OPERAND ? x : relative * x;
  let sum = 0;
  for (let i = 0; i < headDim; i++) {
    const q = Math.abs(query[row * headDim + i]!), k = Math.abs(key[keyRow * headDim + i]!);
    sum += q * off(k) + off(q) * k + off(q) * off(k);
  }
  return sum;
}

/**
 * The errors from weights and logit gradients that f16 flushes to zero, because they are small
 * beside the largest of their row. A row belongs to a query in the kernel of query gradients, and
 * to a key in the kernel of key and value gradients.
 */
export class SmallWeights {
  readonly #pass: Rows & { readonly scale: number; keyStart(head: number): number };
  /** The largest gradient of a logit: `#ofQuery` in each query row, `#ofKey` in each key row. */
  readonly #ofQuery: Float64Array;
  readonly #ofKey: Float64Array;
  /** The largest weight per key row. */
  readonly #weight: Float64Array;

  constructor(pass: Rows & { readonly scale: number; keyStart(head: number): number }) {
    const headDim = pass.shape[3];
    this.#pass = pass;
    this.#ofQuery = new Float64Array(pass.query.length / headDim);
    this.#ofKey = new Float64Array(pass.key.length / headDim);
    this.#weight = new Float64Array(pass.key.length / headDim);
  }

  see(
    { row, keyRow }: { readonly row: number; readonly keyRow: number },
    { weight, gradient }: { readonly weight: number; readonly gradient: number },
  ): void {
    this.#ofQuery[row] = Math.max(this.#ofQuery[row]!, gradient);
    this.#ofKey[keyRow] = Math.max(this.#ofKey[keyRow]!, gradient);
    this.#weight[keyRow] = Math.max(this.#weight[keyRow]!, weight);
  }

  /**
   * Adds the errors from flushed weights and gradients to the gradients' bounds, after `see` has
   * recorded all pairs. `used` bounds the error of the gradient of the value that attention reads:
   * v, or φ(v) under V-scale "full".
   */
  addTo(
    bounds: {
      readonly queryGradient: Float64Array;
      readonly keyGradient: Float64Array;
      readonly used: Float64Array;
    },
    outputGradient: Float32Array,
  ): void {
    const { shape: [, , length, headDim], query, key, scale } = this.#pass;
    for (let row = 0; row < this.#ofQuery.length; row++) {
      const keyRows = this.#pass.keyStart(Math.floor(row / length)) / headDim;
      const ofQuery = SMALLEST_WEIGHT * Math.abs(scale) * this.#ofQuery[row]!;
      for (let keyRow = keyRows; keyRow <= keyRows + row % length; keyRow++) {
        const ofKey = SMALLEST_WEIGHT * Math.abs(scale) * this.#ofKey[keyRow]!;
        const weight = SMALLEST_WEIGHT * this.#weight[keyRow]!;
        for (let i = 0; i < headDim; i++) {
          const q = row * headDim + i, k = keyRow * headDim + i;
          bounds.queryGradient[q]! += ofQuery * Math.abs(key[k]!);
          bounds.keyGradient[k]! += ofKey * Math.abs(query[q]!);
          bounds.used[k]! += weight * Math.abs(outputGradient[q]!);
        }
      }
    }
  }
}
