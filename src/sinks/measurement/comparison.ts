/**
 * Two ways to sum up a figure: position s against early tokens, and quartiles over layers.
 */

export interface SinkComparison {
  /** The value at position s. */
  readonly sink: number;
  /**
   * The mean over the early tokens; for R_GS, over all other positions up to T_e
   * (`lastGradientPosition`).
   */
  readonly early: number;
  /** sink / early; null for a division by zero. */
  readonly ratio: number | null;
}

/** A median with quartiles over layers (linear interpolation, as in numpy's default). */
export interface Quartiles {
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
}
