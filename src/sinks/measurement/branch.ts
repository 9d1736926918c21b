/**
 * The measurements of one residual branch, attention or MLP: how its gradient grows and shrinks.
 * `../measurement.ts` says the units and reductions.
 */
import type { SinkComparison } from "./comparison.ts";

/** Bloat, Compress and Change of one branch, [positions] each. */
export interface BranchByPosition {
  /** ‖h‖ at the branch's start; the median over sequences, like the three ratios below. */
  readonly inputNorm: readonly number[];
  /** ‖∇h̃‖ / ‖∇r‖, where h̃ is the RMSNorm's output and r the branch's output. */
  readonly bloat: readonly (number | null)[];
  /** ‖∇h − ∇h′‖ / ‖∇h̃‖, where h is the branch's start and h′ = h + r its end. */
  readonly compress: readonly (number | null)[];
  /** ‖∇h‖ / ‖∇h′‖, where h is the branch's start and h′ its end. */
  readonly change: readonly (number | null)[];
}

/** Single tokens of a few sequences for scatter plots: [points] each, all equally long. */
export interface BranchPoints {
  readonly sequence: readonly number[];
  readonly position: readonly number[];
  readonly inputNorm: readonly number[];
  readonly bloat: readonly (number | null)[];
  readonly compress: readonly (number | null)[];
  readonly change: readonly (number | null)[];
}

/** Least-squares fit of log10 Compress against log10 ‖h‖, over all tokens of all sequences. */
export interface CompressFit {
  /** The paper finds about −1. */
  readonly slope: number;
  /** log10 Compress at ‖h‖ = 1. */
  readonly intercept: number;
  /** R²: the share of variance that the line explains. */
  readonly explained: number;
  /** The least and greatest log10 ‖h‖: a slope over less than half a decade says little. */
  readonly range: readonly [number, number];
  readonly tokens: number;
}

/** One residual branch, attention or MLP. */
export interface BranchMeasurement {
  readonly byPosition: BranchByPosition;
  readonly points: BranchPoints;
  /**
   * null if all tokens have the same Compress or the same ‖h‖, or if fewer than 3 tokens have
   * values above 0.
   */
  readonly compressFit: CompressFit | null;
  /** The ratios' medians over sequences: at s, compared with the mean over early tokens. */
  readonly bloat: SinkComparison | null;
  readonly compress: SinkComparison | null;
  readonly change: SinkComparison | null;
}
