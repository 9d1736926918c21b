/** The results of a scaling run. */
import type { PassName, Shape } from "../../src/measure/workloads/operator.ts";
import type { OperatorName } from "../../src/measure/workloads/operators.ts";
import type { CallMemory, ScalingSeries } from "./series.ts";

/** One call of a series. */
export interface ScalingResult {
  /** The length that grows. */
  readonly x: number;
  readonly shape: Shape["dimensions"];
  readonly variant: string;
  /** `left-out`: the call would have taken too long, or cannot run on this adapter. */
  readonly status: "ok" | "failed" | "timed-out" | "wrong" | "left-out";
  readonly reason?: string;
  /** The time of one run, in ns. */
  readonly time?: number;
  readonly interval?: { readonly low: number; readonly high: number };
  /** ns per unit of work: per FLOP or per byte, as the series' `unit` says. */
  readonly perUnit?: number;
  /**
   * `time`, `interval` and `perUnit` in CPU time, summed over the process's threads. Only for an
   * adapter that computes on the CPU. Other programs affect CPU time less than wall time.
   */
  readonly cpu?: Pick<ScalingResult, "time" | "interval" | "perUnit">;
  readonly flops: number;
  readonly bytes: number;
  readonly memory: CallMemory;
  readonly samples: readonly number[];
}

/** The results of a series in one pass. */
export interface SeriesResult {
  readonly kernel: OperatorName;
  readonly pass: PassName;
  readonly axis: string;
  readonly unit: ScalingSeries["unit"];
  readonly points: readonly ScalingResult[];
}
