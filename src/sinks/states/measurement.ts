/**
 * What is measured of a model's hidden states and of its attention to every position. A text is a
 * sequence of the task. Units as in ../measurement.ts.
 */

/** One element of a hidden state, with its place. */
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
   * The three largest magnitudes of all texts that stand in different dimensions or at different
   * positions, decreasing.
   */
  readonly largest: readonly LargeActivation[];
  /** Median magnitude of a text's elements; the mean over texts. */
  readonly median: number;
  /**
   * Elements over 100 and at least 1000 × their text's median magnitude, in a text on average: Sun
   * et al.'s criterion.
   */
  readonly massive: number;
  /** The cosine between h_out and that of token 0, [positions]: mean over texts. */
  readonly cosine: readonly number[];
  /** The largest magnitude among a token's elements, [positions]: mean over texts. */
  readonly largestByPosition: readonly number[];
  /**
   * The share of (text, query head) pairs whose α_s exceeds ε, for each s of {@linkcode
   * StatesMeasurement.sinkPositions}; null in a layer without attention.
   */
  readonly sinkRates: readonly number[] | null;
}

/** Attention of one head at the first positions: of one text, or the mean over texts. */
export interface AttentionMap {
  readonly layer: number;
  readonly head: number;
  /** Why this head is shown. */
  readonly why: string;
  /** How many positions. */
  readonly size: number;
  /** [size, size], row by row: a_ts of query t and key s, to 3 digits behind the point. */
  readonly weights: readonly number[];
}

/** Channels of the hidden states, which massive activations share. */
export interface ChannelMeasurement {
  /** The dimensions with the largest magnitudes of all layers, increasing. */
  readonly dimensions: readonly number[];
  /**
   * The largest magnitude of a channel among a text's tokens, mean over texts: [layers], and in each
   * one number per dimension.
   */
  readonly largest: readonly (readonly number[])[];
}

/** The attention of some heads in the first text, with its tokens. */
export interface TextAttention {
  /** How the first tokens are spelled, as many as a map has positions. */
  readonly tokens: readonly string[];
  readonly maps: readonly AttentionMap[];
}

/** The states of all layers. */
export interface StatesMeasurement {
  /** The positions whose whole window lies within a text, and s. */
  readonly sinkPositions: readonly number[];
  readonly layers: readonly StateMeasurement[];
  /** Means over texts; none in a model without attention. */
  readonly maps: readonly AttentionMap[];
  /** Older files lack it. */
  readonly channels?: ChannelMeasurement;
  /** Only if tokens can be spelled; older files lack it. */
  readonly firstText?: TextAttention;
}

/** A query head. */
export interface HeadPlace {
  readonly layer: number;
  /** The index of the query head in its layer, from 0. */
  readonly head: number;
}
