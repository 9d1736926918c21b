/**
 * Times GPU work by the GPU's clock if it has one that runs evenly, else by the host's clock.
 *
 * This file calls no Deno API, and clocks are parameters, because the browser's page uses it too.
 */
import type { Gpu } from "../gpu/gpu.ts";
import { Plan } from "../gpu/plan.ts";
import dispatchSource from "../../kernels/ceilings/dispatch.wgsl" with { type: "text" };
import { observeClockStep } from "./timing/calibration.ts";
import {
  type HostClocks,
  type Span,
  submitAndTime,
  type UntimedWork,
} from "./timing/submission.ts";
import {
  calibrate,
  freeStamps,
  makeStamps,
  MAXIMUM_SPANS,
  type Stamps,
  submitWithStamps,
} from "./timing/timestamps.ts";
import type { Timer } from "./result_file.ts";
import { median } from "../statistics/summary.ts";
import { sum } from "../statistics/mean.ts";

export type { HostClocks, Span, UntimedWork } from "./timing/submission.ts";
export { MAXIMUM_SPANS } from "./timing/timestamps.ts";

/** Options of {@linkcode GpuTimer.time}. */
export interface TimeOptions extends UntimedWork {
  /** Called right before a submission, for a caller with its own clock. */
  readonly started?: () => void;
  /** Called as soon as the GPU has finished the submission. */
  readonly finished?: () => void;
}

/** Result of {@linkcode GpuTimer.time}. */
export interface SpanTimes {
  /** The ns of each span; undefined if the clock gave no time (a difference of 0 or less). */
  readonly spans: readonly (number | undefined)[];
  /** The time of all submissions by the host's clock, in ns. */
  readonly wall: number;
  /** CPU time of the process during the submissions, in ns. */
  readonly cpu?: number;
}

/** Options of {@linkcode GpuTimer.open}. */
export interface GpuTimerOptions {
  /** The host's clocks, for calibration and for GPUs without a clock. */
  readonly clocks: HostClocks;
  /** `wall`: use the host's clock even if the GPU has one. Default: `timestamp` if possible. */
  readonly kind?: Timer["kind"];
}

/** A span is too short to time if it lasts fewer steps of the clock than this. */
export const MINIMUM_QUANTA = 50;

/** A clock for one GPU's work. */
export class GpuTimer {
  /** The clock, in the form of a result file. */
  readonly timer: Timer;
  /**
   * The shortest span worth timing, in ns: 50 steps of the clock; with wall time, also at least as
   * long as 50 nearly empty submissions.
   */
  readonly minimumSpan: number;
  /**
   * How long nearly empty submissions took until the host knew that they had ended, in ns: one time
   * per submission.
   */
  readonly submitAndWait: readonly number[];
  /** Why the GPU's clock is not used although the GPU has one. */
  readonly warning: string | undefined;
  readonly #gpu: Gpu;
  readonly #clocks: HostClocks;
  readonly #stamps: Stamps | undefined;

  private constructor(gpu: Gpu, fields: {
    clocks: HostClocks;
    stamps: Stamps | undefined;
    timer: Timer;
    submitAndWait: readonly number[];
    warning?: string;
  }) {
    this.#gpu = gpu;
    this.#clocks = fields.clocks;
    this.#stamps = fields.stamps;
    this.timer = fields.timer;
    this.submitAndWait = fields.submitAndWait;
    this.warning = fields.warning;
    const overhead = fields.timer.kind === "wall" ? median(fields.submitAndWait) ?? 0 : 0;
    this.minimumSpan = MINIMUM_QUANTA * Math.max(fields.timer.quantum, overhead);
  }

  /**
   * Examines and calibrates a GPU's clocks, which takes about half a second.
   *
   * @param gpu the GPU
   * @param options the host's clocks, and which kind of clock to use
   * @returns the timer; `dispose` frees its buffers
   * @throws {GpuError} if the GPU fails
   */
  static async open(gpu: Gpu, { clocks, kind }: GpuTimerOptions): Promise<GpuTimer> {
    const runs = gpu.storage(4);
    const tick = new Plan(gpu, {
      operator: "timer",
      cost: { flops: 0, bytes: 8 },
      scratch: [runs],
      dispatches: [{
        kernel: { parts: [{ file: "ceilings/dispatch.wgsl", source: dispatchSource }] },
        parameters: [{ u32: 1 }],
        buffers: [runs],
        workgroups: [1],
      }],
    });
    // Not `using`: some browsers with WebGPU do not support it.
    try {
      gpu.run(tick); // Compile now, so no observation includes it.
      await gpu.sync();
      return await GpuTimer.#observe(gpu, { clocks, kind, span: (pass) => tick.encode(pass) });
    } finally {
      tick.dispose();
    }
  }

  static async #observe(
    gpu: Gpu,
    { clocks, kind, span }: {
      readonly clocks: HostClocks;
      readonly kind: Timer["kind"] | undefined;
      readonly span: Span;
    },
  ): Promise<GpuTimer> {
    const submitAndWait: number[] = [];
    for (let i = 0; i < 20; i++) {
      submitAndWait.push((await submitAndTime(gpu, { clocks, span })).wall);
    }
    const wall: Timer = { kind: "wall", quantum: observeClockStep(clocks.wall) };
    if (kind === "wall" || !gpu.info.features.includes("timestamp-query")) {
      return new GpuTimer(gpu, { clocks, submitAndWait, timer: wall, stamps: undefined });
    }
    const stamps = makeStamps(gpu);
    const timer = await calibrate(stamps, { gpu, clocks, span });
    if (typeof timer !== "string") {
      return new GpuTimer(gpu, { clocks, submitAndWait, timer, stamps });
    }
    freeStamps(stamps);
    const warning = `wall time is used: ${timer}`;
    return new GpuTimer(gpu, { clocks, submitAndWait, timer: wall, stamps: undefined, warning });
  }

  /**
   * Runs spans, each in a separate pass, and times each.
   *
   * @param spans 1 to 32 spans; with wall time each is a separate submission
   * @param options untimed work before all spans (`first`) and before every span (`each`);
   *   callbacks before and after every submission of spans
   * @returns the times; `wall` and `cpu` include the untimed work
   * @throws {GpuError} if the GPU fails
   * @throws {RangeError} for no spans or more than 32, or for `each` with wall time: the host's
   *   clock cannot leave that work out
   */
  async time(spans: readonly Span[], options: TimeOptions = {}): Promise<SpanTimes> {
    const { started, finished, ...untimed } = options;
    const callbacks = { started, finished };
    if (spans.length < 1 || spans.length > MAXIMUM_SPANS) {
      throw new RangeError(`time: ${spans.length} spans, wanted 1 to ${MAXIMUM_SPANS}`);
    }
    const gpu = this.#gpu;
    const clocks = this.#clocks;
    if (this.#stamps === undefined) {
      if (untimed.each !== undefined) throw new RangeError("time: wall time cannot leave work out");
      const first = untimed.first === undefined
        ? []
        : [await submitAndTime(gpu, { clocks, span: untimed.first })];
      const times = [];
      for (const span of spans) times.push(await submitAndTime(gpu, { clocks, span, callbacks }));
      const all = [...first, ...times];
      return {
        spans: times.map(({ wall }) => wall > 0 ? wall : undefined),
        wall: sum(all.map(({ wall }) => wall)),
        ...clocks.cpu === undefined ? {} : { cpu: sum(all.map(({ cpu }) => cpu ?? 0)) },
      };
    }
    const submission = { gpu, clocks, spans, untimed, callbacks };
    const { ticks, wall, cpu } = await submitWithStamps(this.#stamps, submission);
    const scale = this.timer.nanosecondsPerTick ?? 1;
    return {
      spans: ticks.map(([begin, end]) => end > begin ? (end - begin) * scale : undefined),
      wall,
      ...cpu === undefined ? {} : { cpu },
    };
  }

  /** Frees the timer's buffers. */
  dispose(): void {
    if (this.#stamps !== undefined) freeStamps(this.#stamps);
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
