/**
 * The measurements of one residual branch, attention or MLP: how the gradient grows and shrinks on
 * its way back through the branch. `../measurement.ts` says the units and reductions.
 */
import type { SinkComparison } from "./comparison.ts";

/** Bloat, Compress and Change of one branch, [positions] each. */
export interface BranchByPosition {
  /** ‖h‖ at the branch's start. Like the three ratios below, it is a median over sequences. */
  readonly inputNorm: readonly number[];
  /** ‖∇h̃‖ / ‖∇r‖, where h̃ is the RMSNorm's output and r the branch's output. */
  readonly bloat: readonly (number | null)[];
  /** ‖∇h − ∇h′‖ / ‖∇h̃‖, where h is the branch's start and h′ = h + r its end. */
  readonly compress: readonly (number | null)[];
  /** ‖∇h‖ / ‖∇h′‖, where h is the branch's start and h′ its end. */
  readonly change: readonly (number | null)[];
}

/**
 * Values of single tokens of the first two sequences, for scatter plots. Entry i of every array
 * belongs to the same token.
 */
export interface BranchPoints {
  readonly sequence: readonly number[];
  readonly position: readonly number[];
  readonly inputNorm: readonly number[];
  readonly bloat: readonly (number | null)[];
  readonly compress: readonly (number | null)[];
  readonly change: readonly (number | null)[];
}

/**
 * The least-squares fit of log10 Compress against log10 ‖h‖, over the tokens of all sequences. It
 * leaves out a token if its Compress or its ‖h‖ is not above 0.
 */
export interface CompressFit {
  /** The paper finds about −1. */
  readonly slope: number;
  /** log10 Compress at ‖h‖ = 1. */
  readonly intercept: number;
  /** R²: the share of variance that the line explains. */
  readonly explained: number;
  /** The least and greatest log10 ‖h‖. If they differ by less than 0.5, the slope says little. */
  readonly range: readonly [number, number];
  readonly tokens: number;
}

/** One residual branch, attention or MLP. */
export interface BranchMeasurement {
  readonly byPosition: BranchByPosition;
  readonly points: BranchPoints;
  /**
   * null if Compress and ‖h‖ are both above 0 for fewer than 3 tokens, or if either of them is the
   * same for all these tokens.
   */
  readonly compressFit: CompressFit | null;
  /**
   * Each ratio is a median over sequences. Its value at s is compared with its mean over the early
   * tokens. null if the ratio has no value at s or at an early token.
   */
  readonly bloat: SinkComparison | null;
  readonly compress: SinkComparison | null;
  readonly change: SinkComparison | null;
}
