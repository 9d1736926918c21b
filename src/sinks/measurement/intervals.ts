/** Intervals of the measurements over sequences. */
import type { Interval } from "../../statistics/resampling.ts";

/**
 * 95 % intervals that show how much each figure would vary between samples of equally many
 * sequences. Unless a comment says otherwise, a field has the name of its figure. An interval is
 * null if its figure has no value, in the measurement or in a resample.
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
  /** The intervals of `SinkMeasurement.loss` and of figures in `SinkMeasurement.summary`. */
  readonly summary: {
    readonly loss: Interval | null;
    /** The intervals of R_GS(s)'s medians over layers, for summed and for single gradients. */
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
