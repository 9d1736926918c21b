/** Splits a vocabulary into slices, and combines the losses of the slices. */

/** How much memory the logits take. */
export interface LogitsMemory {
  /** A slice's weights and its logits may each take at most this many bytes. Default: 2²⁴. */
  readonly sliceBytes?: number;
  /**
   * Logits are kept for the backward pass if all of them take at most this many bytes; otherwise
   * they are recomputed. Default: 2²⁷.
   */
  readonly keptBytes?: number;
}

/** The limits of {@linkcode LogitsMemory} by default. */
export const LOGITS_MEMORY: Required<LogitsMemory> = { sliceBytes: 2 ** 24, keptBytes: 2 ** 27 };

/** A range of columns of the logits, from `first` on. */
export interface Slice {
  readonly first: number;
  readonly count: number;
}

/**
 * Splits a vocabulary into slices of equal length, of which only the last may be shorter.
 *
 * @param options `vocabulary`: its size V; `modelDim`: d; `rows`: B · T; `sliceBytes`: as in
 *   {@linkcode LogitsMemory}
 */
export function vocabularySlices(
  { vocabulary, modelDim, rows, sliceBytes = LOGITS_MEMORY.sliceBytes }: {
    readonly sliceBytes?: number;
    readonly vocabulary: number;
    readonly modelDim: number;
    readonly rows: number;
  },
): Slice[] {
  const most = Math.max(1, Math.floor(sliceBytes / (4 * Math.max(modelDim, rows))));
  const even = Math.ceil(vocabulary / Math.ceil(vocabulary / most));
  // Make the length a multiple of 64, so that the matrix product has whole tiles, if `most` allows.
  const length = Math.min(most, 64 * Math.ceil(even / 64));
  return Array.from({ length: Math.ceil(vocabulary / length) }, (_, i) => ({
    first: i * length,
    count: Math.min(length, vocabulary - i * length),
  }));
}

/**
 * Combines the losses and logSumExp of all slices into those of the whole vocabulary.
 *
 * @param parts for each slice, the loss and logSumExp of every row
 */
export function joinSlices(
  parts: readonly (readonly [loss: Float32Array, logSumExp: Float32Array])[],
): {
  readonly tokenLosses: Float64Array<ArrayBuffer>;
  readonly logSumExp: Float64Array<ArrayBuffer>;
} {
  const rows = parts[0]![0].length;
  const logSumExp = Float64Array.from({ length: rows }, (_, row) => {
    const all = parts.map(([, each]) => each[row]!);
    const largest = Math.max(...all);
    return largest + Math.log(all.reduce((sum, each) => sum + Math.exp(each - largest), 0));
  });
  const tokenLosses = logSumExp.map((all, row) =>
    parts.reduce((left, [loss, own]) => left - (own[row]! - loss[row]!), all)
  );
  return { tokenLosses, logSumExp };
}
