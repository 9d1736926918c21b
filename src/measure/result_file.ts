/**
 * The result file `gradsink-results/1`: one run of the bench on one adapter.
 *
 * These types match the JSON Schema in `result_file/schema.json`. All times are nanoseconds, all
 * rates are per second. In `result_file/`, `parse.ts` validates, and `plausibility.ts` asks whether
 * a stranger's file can be true. Only `store.ts` uses the file system, so the other files run in a
 * browser too.
 */

/** The version that this code writes. */
export const RESULT_SCHEMA = "gradsink-results/1";

/** The outcome of a measurement. */
export type MeasurementStatus = "ok" | "failed" | "timed-out" | "wrong";

/** `hot`: run after run. `cold`: before each run, other data fills the last-level cache. */
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
  /** The smallest step of this clock in ns, found from its readings. */
  readonly quantum: number;
  /** The length of one tick of the GPU's clock, in ns of the host's. `samples` are in ns, too. */
  readonly nanosecondsPerTick?: number;
  /** The relative uncertainty of the tick's length, 0 to 1. */
  readonly calibrationError?: number;
}

/** The check of the outputs against float64, before timing. */
export interface Correctness {
  /**
   * The largest error. Each error is relative to the largest of three scales, one of them the
   * greatest magnitude in its row; see `largestError` in `workloads/samples.ts`.
   */
  readonly error: number;
  /** The largest allowed error, relative like `error`. */
  readonly tolerance: number;
  /** The output with the largest error. */
  readonly output?: string;
}

/** One process's part of a measurement. */
export interface MeasuredProcess {
  /** The bench's round, from 0 on. One process takes a round's measurements unless it crashes. */
  readonly round: number;
  /** How many consecutive samples are from this process. */
  readonly samples: number;
  /** How many consecutive `throttleSamples` are from this process. */
  readonly throttleSamples: number;
  /** The number of runs of the operator in each of this process's samples. */
  readonly repeats?: number;
}

/** The timing of one variant of an operator's pass, on one shape and in one state of the cache. */
export interface Measurement {
  /** The operator's name, such as `attention`. */
  readonly kernel: string;
  /** For a custom operator: 16 hexadecimal digits of a hash of its file and imports. */
  readonly operatorDigest?: string;
  /** `forward` or `backward`. */
  readonly pass: string;
  /** The dimensions by name, such as `{ B: 1, Hq: 8, Hkv: 2, T: 1024, D: 64 }`. */
  readonly shape: Readonly<Record<string, number>>;
  /** The number format: `f32`, or `f16+f32` for operands rounded to f16 with sums in f32. */
  readonly dtype: string;
  /** The name of the variant; `portable` is the plain one. */
  readonly variant: string;
  /** True for the variant that runs by default on this adapter, whether or not tuning chose it. */
  readonly chosen?: boolean;
  /** `{ tuned: true }` if tuning chose the variant, else empty; other fields are allowed. */
  readonly tuning: Readonly<Record<string, number | string | boolean>>;
  /** The least floating-point operations that one run needs, from the plan. */
  readonly flops: number;
  /** The least bytes that one run must read and write, from the plan. */
  readonly bytes: number;
  /** The cache's state; absent means hot. */
  readonly cache?: CacheState;
  /** The measurement's outcome; absent means ok. */
  readonly status?: MeasurementStatus;
  /** Why the status is not ok. */
  readonly reason?: string;
  /** The clock of the samples. */
  readonly timer: Timer;
  /** Nanoseconds for one run of the operator, in the order of measuring. */
  readonly samples: readonly number[];
  /** The number of runs in each sample of the first process. A sample is their mean time. */
  readonly repeats?: number;
  /**
   * The processes that took the samples, in order: a new one in each round of the bench. Absent if
   * there are no samples, and in older files, where a single process took all samples.
   */
  readonly processes?: readonly MeasuredProcess[];
  /**
   * The number of samples of each visit. A visit takes some samples in a row; then the bench visits
   * other measurements. The sum of these numbers is the length of `samples`.
   */
  readonly rounds?: readonly number[];
  /**
   * In a joint run (`--beside`): each visit's sweep number, in the order of `rounds`. In a sweep,
   * the processes of both files visit the same work right after each other. So visits with the same
   * sweep number, in the same round of the bench, are next to each other in time.
   */
  readonly sweeps?: readonly number[];
  /** For each sample: the CPU time of one run, in ns. */
  readonly cpuSamples?: readonly number[];
  /** Times in ns of the fixed reference kernel, which runs between samples. */
  readonly throttleSamples?: readonly number[];
  /**
   * The indices of samples taken while the reference kernel was slower than usual. They stay in
   * `samples`.
   */
  readonly driftingSamples?: readonly number[];
  /** Why sampling ended. */
  readonly stopReason?: StopReason;
  /** The check before the samples. */
  readonly correctness?: Correctness;
  /** Reasons to trust the samples less, one line each. */
  readonly warnings?: readonly string[];
}

/** One measured ceiling. */
export interface Ceiling<Unit extends string> {
  /** The figure: the greatest rate, or the median of times in ns. */
  readonly value: number;
  /** The unit of `value`, and of every other figure of this ceiling. */
  readonly unit: Unit;
  /** The figure of each sample, in `unit`. `method` says how all of them were measured. */
  readonly samples?: readonly number[];
  /**
   * The 95 % interval of the true figure. A rate's interval begins at `value`, because the true
   * rate is at least the measured one.
   */
  readonly interval?: { readonly low: number; readonly high: number };
  /** A remark that the reader should know. */
  readonly remark?: string;
  /** How the figure was measured, such as the access style of the fastest kernel. */
  readonly method?: string;
  /**
   * The best figure of every form of the kernel, best form first. Absent if the kernel has only one
   * form, and in older files.
   */
  readonly forms?: readonly CeilingForm[];
}

/** One form of a ceiling's kernel, such as a number of accumulators. */
export interface CeilingForm {
  /** The form's description, such as its number of accumulators. */
  readonly method: string;
  /** The form's best figure, in the ceiling's unit. */
  readonly value: number;
}

/** What the adapter does at best, measured in the same run; null or absent means no data. */
export interface Ceilings {
  /** Multiply-adds in f32. */
  readonly f32Fma?: Ceiling<"flop/s"> | null;
  /** Multiply-adds in f16. */
  readonly f16Fma?: Ceiling<"flop/s"> | null;
  /** Copying from memory to memory, counting bytes read and written. */
  readonly copyBandwidth?: Ceiling<"byte/s"> | null;
  /** Exponentials. */
  readonly expRate?: Ceiling<"op/s"> | null;
  /** Time of one more dispatch. */
  readonly dispatchOverhead?: Ceiling<"ns"> | null;
  /** Time from a nearly empty submission until its end is known. */
  readonly submitAndWait?: Ceiling<"ns"> | null;
}

/** The WebGPU implementation. */
export interface ResultRuntime {
  /** `deno`, `dawn` or `browser`. */
  readonly name: string;
  /** The version of Deno or of the browser. */
  readonly version?: string;
  /** The version of npm:webgpu, which runs Dawn; absent for other runtimes. */
  readonly webgpuVersion?: string;
  readonly userAgent?: string;
}

/** The machine around the GPU, as far as known. */
export interface ResultHost {
  readonly os?: string;
  readonly osRelease?: string;
  readonly arch?: string;
  readonly cpu?: string;
  /** Distinguishes hosts that are otherwise alike: 16 hexadecimal digits of a hash. */
  readonly id?: string;
  readonly logicalProcessors?: number;
  readonly memoryBytes?: number;
}

/** The GPU; a `GpuInfo` has this form. */
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

/** How the run was requested. Further fields are allowed. */
export interface ResultSettings {
  /** The name of the shape grid. */
  readonly grid?: string;
  readonly seed?: number;
  /** A process's median is precise if its interval's relative half-width is at most this. */
  readonly targetHalfWidth?: number;
  readonly budgetSeconds?: number;
  /** The most samples of a measurement in one process; no limit for runs with `--beside`. */
  readonly maximumSamples?: number;
  /** The number of rounds. In each round a separate process takes every measurement. */
  readonly processes?: number;
  /**
   * A random name that the two files of a joint run (`--beside`) share: 32 hexadecimal digits.
   * Absent for other runs.
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
    /** The commit, with a trailing + if the working tree differed from it; null without git. */
    readonly commit: string | null;
  };
  /** When the run began, RFC 3339, such as `2026-11-23T20:15:00Z`. */
  readonly date: string;
  /** Whether the run ended; absent means complete. */
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
