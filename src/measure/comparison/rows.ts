/** The rows and cells of a comparison. */
import type { RooflinePosition } from "../ceilings/roofline.ts";
import type { CacheState, Measurement, MeasurementStatus } from "../result_file.ts";
import type { Interval, Summary } from "../../statistics/summary.ts";
import type { Doubt } from "./doubt.ts";
import type { PairComparison } from "./pair.ts";
import type { Verdict } from "./verdict.ts";

/** A measurement compared with the first machine's measurement of the same work. */
export interface JudgedPair extends PairComparison {
  /** The p-value after Holm's correction over the whole table. */
  readonly correctedPValue: number | undefined;
  readonly verdict: Verdict;
  readonly doubt: Doubt | undefined;
  /** Seconds to add to `--budget` in both runs to get a verdict; undefined if time cannot help. */
  readonly secondsToSettle: number | undefined;
  readonly sameMachine: boolean;
}

/** One machine's result for one row. */
export interface ComparisonCell {
  /** missing: the file does not have this measurement. */
  readonly status: MeasurementStatus | "missing";
  /** The chosen variant's measurement, else the fastest variant's; undefined if missing. */
  readonly measurement: Measurement | undefined;
  readonly summary: Summary;
  readonly roofline: RooflinePosition;
  /** The roofline's least time divided by the median time; undefined if either is undefined. */
  readonly rooflineShare: number | undefined;
  /** The roofline share's interval, from the intervals of the time and the ceiling. */
  readonly rooflineInterval: Interval | undefined;
  readonly flopsPerSecond: number | undefined;
  readonly bytesPerSecond: number | undefined;
  /** 1 for the shortest median of the row; equal medians share a rank. */
  readonly rank: number | undefined;
  /** The median divided by the row's shortest one. */
  readonly relativeToBest: number | undefined;
  /** Compares this cell with the row's first. Undefined in the first, or if either is missing. */
  readonly pair: JudgedPair | undefined;
}

/** The work that a row compares: an operator, pass, shape, number format and cache state. */
export interface ComparisonKey {
  readonly kernel: string;
  readonly pass: string;
  readonly shape: Readonly<Record<string, number>>;
  readonly dtype: string;
  readonly cache: CacheState;
}

/** One row of a comparison, with cells in the order of the machines. */
export interface ComparisonRow extends ComparisonKey {
  readonly cells: readonly ComparisonCell[];
}
