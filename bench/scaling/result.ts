/** What a scaling run finds. */
import type { PassName, Shape } from "../../src/measure/workloads/operator.ts";
import type { OperatorName } from "../../src/measure/workloads/operators.ts";
import type { CallMemory, ScalingSeries } from "./series.ts";

/** One call of a series. */
export interface ScalingResult {
  /** The length that grows. */
  readonly x: number;
  readonly shape: Shape["dimensions"];
  readonly variant: string;
  /** `left-out`: it would have taken too long. */
  readonly status: "ok" | "failed" | "timed-out" | "wrong" | "left-out";
  readonly reason?: string;
  /** The time of one run, in ns. */
  readonly time?: number;
  readonly interval?: { readonly low: number; readonly high: number };
  /** ns for each FLOP, or for each byte. */
  readonly perUnit?: number;
  /**
   * The same in CPU time of all of the process's threads, where the adapter computes on the CPU:
   * what else the machine does changes it less.
   */
  readonly cpu?: Pick<ScalingResult, "time" | "interval" | "perUnit">;
  readonly flops: number;
  readonly bytes: number;
  readonly memory: CallMemory;
  readonly samples: readonly number[];
}

/** A series in one direction. */
export interface SeriesResult {
  readonly kernel: OperatorName;
  readonly pass: PassName;
  readonly axis: string;
  readonly unit: ScalingSeries["unit"];
  readonly points: readonly ScalingResult[];
}
