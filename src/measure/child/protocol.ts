/**
 * The protocol of the bench and its measuring processes: one JSON object per line, requests on the
 * child's stdin, reports on its stdout. Both sides are this project's code. Their versions differ
 * only if the child belongs to another checkout; then both must have the same {@linkcode TURNS}.
 */
import type { OperatorOutline } from "../custom_operator/outline.ts";
import type { OpenGpuOptions } from "../../ops/open_gpu_options.ts";
import type { GpuInfo } from "../../gpu/gpu_info.ts";
import type { Ceilings, Measurement, StopReason, Timer } from "../result_file.ts";
import type { Job } from "../jobs.ts";
import type { StoppingRule } from "../sampling/stopping.ts";
import type { VisitPlan } from "../sampling/visits.ts";
import type { VariantQuestion } from "../workloads/variants.ts";

/** The version of the protocol for batches in turns. */
export const TURNS = 1;

/** The next step of one of two processes that measure in turns; see `../sampling/turns.ts`. */
export type ChildTurn =
  | { readonly step: "calibrate" }
  | {
    readonly step: "visit";
    readonly id: number;
    readonly sweep: number;
    readonly plan: VisitPlan;
  }
  | {
    readonly step: "end";
    readonly reasons: readonly (readonly [id: number, reason: StopReason])[];
  };

export interface WaitingChild {
  readonly type: "waiting";
  /** The child's last step. A new child that replaces another one begins with the preparation. */
  readonly after: "preparation" | "calibration" | "visit";
  /** After the calibration: for each job, the plan of its visits (each takes a few samples). */
  readonly plans?: readonly (readonly [id: number, plan: VisitPlan])[];
  /** After a visit: the mean time of a run in ns; absent if the clock gave none. */
  readonly time?: number;
}

export type ChildRequest =
  /** Asks for the name, variants and shapes of the custom operator that the child measures. */
  | { readonly type: "describe" }
  | {
    readonly type: "open";
    readonly options: OpenGpuOptions;
    /** The longest run, in ns; a job with a longer run is reported as skipped. */
    readonly longestRun?: number;
  }
  /** Asks for each question which variant runs by default, and which `named` ones cannot run. */
  | {
    readonly type: "choose";
    readonly questions: readonly VariantQuestion[];
    readonly named?: readonly string[];
  }
  | { readonly type: "ceilings" }
  | {
    readonly type: "batch";
    readonly jobs: readonly Job[];
    readonly rule: StoppingRule;
    readonly seed: number;
    /** The bench's round, from 0 on. It changes the random order of the jobs. Default 0. */
    readonly round?: number;
    /** The ids of jobs whose answers an earlier process has checked. */
    readonly checked?: readonly number[];
    /** Whether the jobs compete: a job that certainly loses gets no more samples. */
    readonly race?: boolean;
    /** After this many ms, jobs whose preparation has not begun are skipped. Default: no limit. */
    readonly preparation?: number;
    /** Whether to take samples in turns with another process. */
    readonly turns?: boolean;
  }
  | { readonly type: "turn"; readonly turn: ChildTurn }
  | { readonly type: "stop" }
  /** Makes the child pause before the next sample. It reports every second that it is paused. */
  | { readonly type: "pause" }
  | { readonly type: "resume" };

export type ChildReport =
  | { readonly type: "described"; readonly outline: OperatorOutline }
  | {
    readonly type: "opened";
    readonly info: GpuInfo;
    readonly timer: Timer;
    readonly warnings: readonly string[];
    /** The child's {@linkcode TURNS}; absent in versions that cannot measure in turns. */
    readonly turns?: number;
  }
  /** Announces a step before it begins. If no report follows, this step hung or crashed. */
  | { readonly type: "at"; readonly id: number | null; readonly step: string }
  | {
    readonly type: "ceilings";
    readonly ceilings: Ceilings;
    readonly warnings: readonly string[];
  }
  /**
   * For each question in order: the name of the default variant, whether tuning chose it, and the
   * reasons why named variants cannot run here.
   */
  | {
    readonly type: "chosen";
    readonly names: readonly string[];
    readonly tuned?: readonly boolean[];
    readonly unfit?: readonly Readonly<Record<string, string>>[];
    /** For each question: all variants in the child's checkout; empty if it lacks the pass. */
    readonly known?: readonly (readonly string[])[];
  }
  /** The job's variant cannot run here, a run of it would last too long, or no time was left. */
  | { readonly type: "skipped"; readonly id: number; readonly reason: string }
  | { readonly type: "measured"; readonly id: number; readonly measurement: Measurement }
  | WaitingChild
  /** The last request is answered completely. */
  | { readonly type: "idle" }
  /** The process can no longer be used because of its last step. */
  | { readonly type: "broken"; readonly reason: string };

/** The result of `next()`: a report, silence until the time limit, or the end of the connection. */
export type ChildEvent =
  | ChildReport
  /** No report came in the given time. */
  | { readonly type: "silent" }
  | { readonly type: "ended"; readonly reason: string };

/** A connection to the measuring process, or to a browser's Worker. */
export interface ChildConnection {
  /** Sends a request. If that fails, `next()` reports the end of the child. */
  send(request: ChildRequest): void;
  /**
   * Sets a deadline for all waits, even for a current one.
   *
   * @param patience the time from now until the deadline, in ms
   */
  hurry(patience: number): void;
  /**
   * Waits for the next report.
   *
   * @param patience the longest wait, in ms
   * @returns the report, `silent` if there is none, or `ended` with the reason
   */
  next(patience: number): Promise<ChildEvent>;
  /** Kills the process and waits until it has ended. */
  kill(): Promise<void>;
  /**
   * Asks the process to end, and kills it if it does not.
   *
   * @param patience the longest wait, in ms
   */
  close(patience: number): Promise<void>;
}
