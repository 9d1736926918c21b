/**
 * The result file `gradsink-results/1`: one run of the bench on one adapter.
 *
 * The types below say in TypeScript what `result_file/schema.json` says in JSON Schema. All times are
 * nanoseconds, all rates are per second. Nothing here touches the file system, so that a browser
 * can read dropped files by the same rules; see `result_file/store.ts` for the disk.
 */

/** The version that this code writes. */
export const RESULT_SCHEMA = "gradsink-results/1";

/** The outcome of a measurement. */
export type MeasurementStatus = "ok" | "failed" | "timed-out" | "wrong";

/** Whether the data lay in the last-level cache when the kernel began. */
export type CacheState = "hot" | "cold";

/** Why sampling ended. */
export type StopReason =
  | "precise"
  | "stable"
  | "budget"
  | "samples"
  | "beaten"
  | "interrupted";

/** The clock of a measurement. */
export interface Timer {
  /** `timestamp` is the GPU's own clock, `wall` the host's. */
  readonly kind: "timestamp" | "wall";
  /** The smallest step that was seen on this clock, in ns. */
  readonly quantum: number;
  /** The calibration of GPU ticks against wall time; `samples` are converted already. */
  readonly nanosecondsPerTick?: number;
  /** The relative uncertainty of that calibration, 0 to 1. */
  readonly calibrationError?: number;
}

/** The check of an output against the reference before timing. */
export interface Correctness {
  /** The largest error that was found, in the units of `tolerance`. */
  readonly error: number;
  /** The largest error that is allowed. */
  readonly tolerance: number;
  /** The output where it was found. */
  readonly output?: string;
}

/** The part of a measurement that one process took. */
export interface MeasuredProcess {
  /** The bench's round, from 0 on: the measurements of one round come from one process. */
  readonly round: number;
  /** How many consecutive samples are from this process. */
  readonly samples: number;
  /** How many consecutive `throttleSamples` are from this process. */
  readonly throttleSamples: number;
  /** Runs of the operator within one of its samples. */
  readonly repeats?: number;
}

/** One operator, pass, shape and number format, timed. */
export interface Measurement {
  /** The operator's name, such as `attention`. */
  readonly kernel: string;
  /**
   * For a custom operator: 16 hexadecimal digits of a hash of its file and of what the file
   * imports.
   */
  readonly operatorDigest?: string;
  /** `forward` or `backward`. */
  readonly pass: string;
  /** The dimensions by name, such as `{ B: 1, Hq: 8, Hkv: 2, T: 1024, D: 64 }`. */
  readonly shape: Readonly<Record<string, number>>;
  /** The number format: `f32`, or `f16+f32` where operands are rounded to f16 and sums are f32. */
  readonly dtype: string;
  /** Which form of the kernel ran; `portable` is the plain one. */
  readonly variant: string;
  /** True for the variant that an untuned caller gets, where several were measured. */
  readonly chosen?: boolean;
  /** The variant's tuning parameters. */
  readonly tuning: Readonly<Record<string, number | string | boolean>>;
  /** The least floating-point operations of one run, from the plan. */
  readonly flops: number;
  /** The least bytes of one run, from the plan. */
  readonly bytes: number;
  /** Absent means hot. */
  readonly cache?: CacheState;
  /** Absent means ok. */
  readonly status?: MeasurementStatus;
  /** Why the status is not ok. */
  readonly reason?: string;
  /** The clock of the samples. */
  readonly timer: Timer;
  /** Nanoseconds for one run of the operator, in the order of measuring. */
  readonly samples: readonly number[];
  /** Runs of the operator within one sample of the first process; the sample is their mean. */
  readonly repeats?: number;
  /**
   * The processes that took the samples, in order: a new one in each round of the bench. Absent in
   * older files, which are from one process.
   */
  readonly processes?: readonly MeasuredProcess[];
  /**
   * How many consecutive samples belong to each turn of the random order; the sum is the number of
   * samples.
   */
  readonly rounds?: readonly number[];
  /**
   * In a joint run, one beside each item of `rounds`: within one process's samples, equal numbers in
   * the two files of the run are turns that were taken side by side.
   */
  readonly sweeps?: readonly number[];
  /** CPU time of one run in ns, one beside each sample. */
  readonly cpuSamples?: readonly number[];
  /** Times in ns of the fixed reference kernel that was run every few samples. */
  readonly throttleSamples?: readonly number[];
  /**
   * Samples, by index, that were taken while the reference kernel ran slower than usual. They are
   * kept.
   */
  readonly driftingSamples?: readonly number[];
  /** Why sampling ended. */
  readonly stopReason?: StopReason;
  /** The check that came before the samples. */
  readonly correctness?: Correctness;
  /** What makes the samples less trustworthy, one line each. */
  readonly warnings?: readonly string[];
}

/** One measured ceiling. */
export interface Ceiling<Unit extends string> {
  /** The best sustained figure. */
  readonly value: number;
  /** The unit of all its figures. */
  readonly unit: Unit;
  /** Each repetition's figure, in the same unit, from all processes that measured it. */
  readonly samples?: readonly number[];
  /** Where the truth lies with 95 %: a rate is at least what was reached. */
  readonly interval?: { readonly low: number; readonly high: number };
  /** What to know before believing it. */
  readonly remark?: string;
  /** How it was found, such as the access style that was the best. */
  readonly method?: string;
  /**
   * What every form of the kernel reached, the best one first; absent where there is one form, and
   * in older files.
   */
  readonly forms?: readonly CeilingForm[];
}

/** One form of a ceiling's kernel, such as a number of accumulators. */
export interface CeilingForm {
  /** What the form is, such as its number of accumulators. */
  readonly method: string;
  /** Its best figure, in the ceiling's unit. */
  readonly value: number;
}

/** What the adapter can do at best, measured in the same run; null or absent means no data. */
export interface Ceilings {
  /** Multiply-adds in f32. */
  readonly f32Fma?: Ceiling<"flop/s"> | null;
  /** Multiply-adds in f16. */
  readonly f16Fma?: Ceiling<"flop/s"> | null;
  /** Copying from memory to memory, bytes read and written. */
  readonly copyBandwidth?: Ceiling<"byte/s"> | null;
  /** Exponentials. */
  readonly expRate?: Ceiling<"op/s"> | null;
  /** Time that one more dispatch takes. */
  readonly dispatchOverhead?: Ceiling<"ns"> | null;
  /** Time from a submission of almost nothing until it is known to have finished. */
  readonly submitAndWait?: Ceiling<"ns"> | null;
}

/** The WebGPU implementation. */
export interface ResultRuntime {
  /** `deno`, `dawn` or `browser`. */
  readonly name: string;
  /** The version of Deno or of the browser. */
  readonly version?: string;
  /** The version of npm:webgpu, where that is the runtime. */
  readonly webgpuVersion?: string;
  readonly userAgent?: string;
}

/** The machine around the GPU, as far as it is known. */
export interface ResultHost {
  readonly os?: string;
  readonly osRelease?: string;
  readonly arch?: string;
  readonly cpu?: string;
  /** Tells hosts apart that are otherwise alike: 16 hexadecimal digits of a hash. */
  readonly id?: string;
  readonly logicalProcessors?: number;
  readonly memoryBytes?: number;
}

/** The GPU; a `GpuInfo` fits as it is. */
export interface ResultAdapter {
  readonly backend?: string;
  readonly vendor: string;
  readonly architecture?: string;
  readonly device?: string;
  readonly description?: string;
  readonly driver?: string;
  /** True for an adapter that computes on the CPU. */
  readonly software?: boolean;
  readonly features?: readonly string[];
  readonly limits?: Readonly<Record<string, number>>;
  readonly subgroupSize?: { readonly minimum: number; readonly maximum: number };
}

/** How the run was requested. More fields are allowed. */
export interface ResultSettings {
  /** The name of the shape grid. */
  readonly grid?: string;
  readonly seed?: number;
  /** The stopping rule's goal: relative half-width of the interval of one process's median. */
  readonly targetHalfWidth?: number;
  readonly budgetSeconds?: number;
  /** The most samples of one process. */
  readonly maximumSamples?: number;
  /** How many rounds, each in a process of its own, take every measurement. */
  readonly processes?: number;
  /**
   * A random name that two files share whose samples were taken in turns: 32 hexadecimal digits.
   * Absent in a file of a run by itself.
   */
  readonly jointRun?: string;
  /** The command line. */
  readonly arguments?: readonly string[];
  readonly [setting: string]: unknown;
}

/** The content of a result file. */
export interface ResultFile {
  readonly schema: `${typeof RESULT_SCHEMA}${string}`;
  readonly suite: {
    readonly version: string;
    /** With a trailing + if the working tree differed; null where git is absent. */
    readonly commit: string | null;
  };
  /** When the run began, RFC 3339, such as `2026-11-23T20:15:00Z`. */
  readonly date: string;
  /** Absent means complete. */
  readonly status?: "complete" | "incomplete";
  /** The owner's name for the machine or run. */
  readonly label?: string;
  readonly runtime: ResultRuntime;
  readonly host: ResultHost;
  readonly adapter: ResultAdapter;
  readonly ceilings: Ceilings;
  readonly settings: ResultSettings;
  readonly warnings?: readonly string[];
  readonly measurements: readonly Measurement[];
}
