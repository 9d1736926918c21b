/** One column of the attention matrix, a_ts for all t, from query, key and logSumExp in float64. */
import { type Numbers, rowDot } from "./numbers.ts";

/** Lengths of an attention layer. */
export interface AttentionShape {
  /** B */
  readonly batch: number;
  /** Hq, a multiple of Hkv */
  readonly queryHeads: number;
  /** Hkv */
  readonly keyValueHeads: number;
  /** T */
  readonly context: number;
  /** D */
  readonly headDim: number;
}

/**
 * The index of the key head that a query head reads. Both indices count on from sequence to
 * sequence: head h of sequence b has the index b Hq + h as a query head, b Hkv + h as a key head.
 */
export function keyHeadOf(head: number, { queryHeads, keyValueHeads }: AttentionShape): number {
  const group = queryHeads / keyValueHeads;
  return Math.floor(head / queryHeads) * keyValueHeads + Math.floor((head % queryHeads) / group);
}

/**
 * a_ts = exp(⟨q_t, k_s⟩/√D − logSumExp_t) for every query t; 0 for t < s, because query t does not
 * see key s.
 *
 * @param states query [B, Hq, T, D], key [B, Hkv, T, D], logSumExp [B, Hq, T]
 * @param options the lengths, and s
 * @returns [B, Hq, T]
 *
 * @example
 * ```ts
 * import { attentionColumn } from "./attention_column.ts";
 *
 * const query = Float64Array.of(0, 0), logSumExp = Float64Array.of(0, Math.log(2));
 * const shape = { batch: 1, queryHeads: 1, keyValueHeads: 1, context: 2, headDim: 1 };
 * console.log(attentionColumn({ query, key: query, logSumExp }, { shape, position: 0 })); // 1, 0.5
 * ```
 */
export function attentionColumn(
  states: { readonly query: Numbers; readonly key: Numbers; readonly logSumExp: Numbers },
  options: { readonly shape: AttentionShape; readonly position: number },
): Float64Array<ArrayBuffer> {
  const { query, key, logSumExp } = states;
  const { shape, position } = options;
  const { batch, queryHeads, context, headDim } = shape;
  const scale = 1 / Math.sqrt(headDim);
  const column = new Float64Array(batch * queryHeads * context);
  for (let head = 0; head < batch * queryHeads; head++) {
    const keyStart = (keyHeadOf(head, shape) * context + position) * headDim;
    for (let t = position; t < context; t++) {
      const row = head * context + t;
      const z = scale * rowDot(query, key, { a: row * headDim, b: keyStart, width: headDim });
      column[row] = Math.exp(z - logSumExp[row]!);
    }
  }
  return column;
}
