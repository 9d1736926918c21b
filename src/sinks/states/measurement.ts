/**
 * The measurements of a model's hidden states and of its attention to every position. A text is a
 * measured sequence. Units as in ../measurement.ts.
 */

export interface LargeActivation {
  readonly value: number;
  /** The index of the text, from 0. */
  readonly sequence: number;
  readonly position: number;
  readonly dimension: number;
}

/** One layer's output h_out. */
export interface StateMeasurement {
  readonly layer: number;
  /**
   * The three elements of all texts with the largest magnitudes, the largest first; at most one per
   * position and dimension.
   */
  readonly largest: readonly LargeActivation[];
  /** The median magnitude of a text's elements, averaged over texts. */
  readonly median: number;
  /**
   * The mean number, per text, of massive elements. By Sun et al.'s criterion their magnitude is
   * above 100 and at least 1000 × the text's median magnitude.
   */
  readonly massive: number;
  /** The cosine between a position's h_out and token 0's, mean over texts: [positions]. */
  readonly cosine: readonly number[];
  /** The largest magnitude among a token's elements, mean over texts: [positions]. */
  readonly largestByPosition: readonly number[];
  /**
   * For each s of {@linkcode StatesMeasurement.sinkPositions}, the share of (text, query head)
   * pairs whose α_s counts as a sink; null in a layer without attention.
   */
  readonly sinkRates: readonly number[] | null;
}

/** One head's attention at the first positions, in one text or averaged over texts. */
export interface AttentionMap {
  readonly layer: number;
  readonly head: number;
  /** Why this head is shown. */
  readonly why: string;
  /** The number of positions. */
  readonly size: number;
  /** [size, size], row by row: a_ts of query t and key s, to three decimals. */
  readonly weights: readonly number[];
}

/**
 * The channels (dimensions) in which the hidden states have the largest magnitudes. If a model has
 * massive activations, they are in some of these channels.
 */
export interface ChannelMeasurement {
  /** The dimensions with the largest magnitudes over all layers, in increasing order. */
  readonly dimensions: readonly number[];
  /**
   * The largest magnitude of each channel among a text's tokens, mean over texts:
   * [layers][dimensions].
   */
  readonly largest: readonly (readonly number[])[];
}

export interface TextAttention {
  /** The text of each of the first tokens, one entry for each position of a map. */
  readonly tokens: readonly string[];
  readonly maps: readonly AttentionMap[];
}

/** The states of all layers. */
export interface StatesMeasurement {
  /**
   * The positions that can be sinks: every position up to the position s of the settings, and every
   * position from which a whole window of queries fits into the text.
   */
  readonly sinkPositions: readonly number[];
  readonly layers: readonly StateMeasurement[];
  /** Attention maps averaged over texts; empty in a model without attention. */
  readonly maps: readonly AttentionMap[];
  /** Absent in older files. */
  readonly channels?: ChannelMeasurement;
  /** The attention in the first text. Absent if its tokens' text is unknown, and in older files. */
  readonly firstText?: TextAttention;
}

/** A query head. */
export interface HeadPlace {
  readonly layer: number;
  /** The index of the query head in its layer, from 0. */
  readonly head: number;
}
