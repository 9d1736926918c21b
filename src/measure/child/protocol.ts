/**
 * What the bench and the processes that measure for it say to each other: one JSON object per line,
 * requests on the child's stdin, reports on its stdout. Both sides are this project's own code, of one
 * version but where the child is another checkout's: then {@linkcode TURNS} tells whether they fit.
 */
import type { OperatorOutline } from "../custom_operator/outline.ts";
import type { OpenGpuOptions } from "../../ops/open_gpu_options.ts";
import type { GpuInfo } from "../../gpu/gpu_info.ts";
import type { Ceilings, Measurement, StopReason, Timer } from "../result_file.ts";
import type { Job } from "../jobs.ts";
import type { StoppingRule } from "../sampling/stopping.ts";
import type { VisitPlan } from "../sampling/visits.ts";
import type { VariantQuestion } from "../workloads/variants.ts";

/** The version of what is said for turns, and of all that a batch in turns needs. */
export const TURNS = 1;

/** A turn of two processes that measure side by side; see `sampling/turns.ts`. */
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

/** What a child says when it waits for its turn. */
export interface WaitingChild {
  readonly type: "waiting";
  /** What it has done: a process that took another one's place begins with the preparation. */
  readonly after: "preparation" | "calibration" | "visit";
  /** After the calibration: what a visit of each job would run. */
  readonly plans?: readonly (readonly [id: number, plan: VisitPlan])[];
  /** After a visit: the mean time of a run in ns; absent where the clock gave none. */
  readonly time?: number;
}

/** What the bench asks of a child. */
export type ChildRequest =
  /** What the custom operator is that the child was started with. */
  | { readonly type: "describe" }
  | {
    readonly type: "open";
    readonly options: OpenGpuOptions;
    /** The longest run, in ns; a job that would run longer is reported as skipped. */
    readonly longestRun?: number;
  }
  /** Which variant runs by default, and which named variants cannot run here. */
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
    /** The bench's round, from 0 on: each has a random order of its own. Default 0. */
    readonly round?: number;
    /** Jobs, by id, whose answers an earlier process has checked. */
    readonly checked?: readonly number[];
    /** Whether the jobs are rivals: a job that certainly loses gets no more samples. */
    readonly race?: boolean;
    /** Time in ms to prepare jobs; a job that is not ready after that is reported as skipped. */
    readonly preparation?: number;
    /** Whether samples are taken in turns with another process. */
    readonly turns?: boolean;
  }
  | { readonly type: "turn"; readonly turn: ChildTurn }
  | { readonly type: "stop" }
  /** Rests before the next sample, and says so every second, until it is told to resume. */
  | { readonly type: "pause" }
  | { readonly type: "resume" };

/** What a child tells the bench. */
export type ChildReport =
  | { readonly type: "described"; readonly outline: OperatorOutline }
  | {
    readonly type: "opened";
    readonly info: GpuInfo;
    readonly timer: Timer;
    readonly warnings: readonly string[];
    /** The version of turns that it understands; absent in older versions. */
    readonly turns?: number;
  }
  /** The next step: if the child stops now, this step stopped it. */
  | { readonly type: "at"; readonly id: number | null; readonly step: string }
  | {
    readonly type: "ceilings";
    readonly ceilings: Ceilings;
    readonly warnings: readonly string[];
  }
  /**
   * The names of the variants, whether tuning chose them, and why others cannot run, in the order
   * of the questions.
   */
  | {
    readonly type: "chosen";
    readonly names: readonly string[];
    readonly tuned?: readonly boolean[];
    readonly unfit?: readonly Readonly<Record<string, string>>[];
    /** All variants that this version has; none for an operator or pass that it lacks. */
    readonly known?: readonly (readonly string[])[];
  }
  /** This adapter or shape is not for this variant. */
  | { readonly type: "skipped"; readonly id: number; readonly reason: string }
  | { readonly type: "measured"; readonly id: number; readonly measurement: Measurement }
  | WaitingChild
  /** The last request has been answered in full. */
  | { readonly type: "idle" }
  /** The process is of no more use, because of what it was last at. */
  | { readonly type: "broken"; readonly reason: string };

/** What `next()` gives: a report, silence until the deadline, or the end of the connection. */
export type ChildEvent =
  | ChildReport
  /** No report came in the given time. */
  | { readonly type: "silent" }
  | { readonly type: "ended"; readonly reason: string };

/** A connection to the measuring process, or to a browser's Worker. */
export interface ChildConnection {
  /** Sends a request. One that cannot be sent shows as the end of the child. */
  send(request: ChildRequest): void;
  /**
   * Shortens every wait, one that is under way as well.
   *
   * @param patience from now on for how long, in ms
   */
  hurry(patience: number): void;
  /**
   * Waits for the next report.
   *
   * @param patience for how long, in ms
   * @returns the report, `silent` if there is none, or `ended` with the reason
   */
  next(patience: number): Promise<ChildEvent>;
  /** Kills the process and waits until it has ended. */
  kill(): Promise<void>;
  /**
   * Asks it to end, and ends it if it does not.
   *
   * @param patience for how long to wait, in ms
   */
  close(patience: number): Promise<void>;
}
