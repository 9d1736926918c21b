/** Intervals of the measurements over sequences. */
import type { Interval } from "../../statistics/resampling.ts";

/**
 * 95 % intervals over sequences: how much each figure would vary from one sample of sequences to
 * another of the same size. The fields have the figures' names. An interval is null if its figure
 * has no value, in the measurement or in a resample.
 */
export interface SinkIntervals {
  /** null in a layer without attention. */
  readonly layers: readonly ({
    readonly gradientSink: Interval | null;
    readonly singleGradientSink: Interval | null;
    /** The interval of every query head's score. */
    readonly scores: readonly (Interval | null)[];
    readonly idleScores: readonly (Interval | null)[];
  } | null)[];
  /** The intervals of the fields of `SinkMeasurement.summary` with the same names. */
  readonly summary: {
    readonly loss: Interval | null;
    /** The interval of R_GS(s)'s median over layers. */
    readonly gradientSink: Interval | null;
    readonly singleGradientSink: Interval | null;
    readonly sequenceSinkRate: Interval | null;
    readonly idleSequenceSinkRate: Interval | null;
    readonly largestScore: Interval | null;
    readonly largestIdleScore: Interval | null;
    /** The intervals of the ratios in `paths`. */
    readonly queryPath: Interval | null;
    readonly keyPath: Interval | null;
    readonly valuePath: Interval | null;
  };
}
