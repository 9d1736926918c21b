/**
 * Times GPU work by the GPU's clock if it has one that runs evenly, else by the host's clock.
 *
 * This file calls no Deno API, and clocks are parameters, because the browser's page uses it too.
 */
import type { Gpu } from "../gpu/gpu.ts";
import { Plan } from "../gpu/plan.ts";
import dispatchSource from "../../kernels/ceilings/dispatch.wgsl" with { type: "text" };
import {
  calibrateTicks,
  type ClockAnchor,
  observeClockStep,
  observeQuantum,
} from "./timing/calibration.ts";
import type { Timer } from "./result_file.ts";
import { median } from "../statistics/summary.ts";
import { sum } from "../statistics/mean.ts";

/** The clocks of the host. */
export interface HostClocks {
  /** Time in ns from any origin. */
  readonly wall: () => number;
  /**
   * CPU time of this process in ns, if it can be read. On software adapters it includes the threads
   * that run the kernels.
   */
  readonly cpu?: () => number;
}

/** Work to time, recorded into one compute pass. */
export type Span = (pass: GPUComputePassEncoder) => void;

/** Work in a submission that is not part of its times. */
export interface UntimedWork {
  /** Recorded once, before all spans: brings the data into the cache. */
  readonly first?: Span;
  /** Recorded before every span: evicts the data from the cache. */
  readonly each?: Span;
}

/** Options of {@linkcode GpuTimer.time}. */
export interface TimeOptions extends UntimedWork {
  /** Called right before a submission, for a caller with its own clock. */
  readonly started?: () => void;
  /** Called as soon as the GPU has finished the submission. */
  readonly finished?: () => void;
}

/** The times of one submission. */
export interface SpanTimes {
  /** The ns of each span; undefined if the GPU's clock gave no time (a difference of 0 or less). */
  readonly spans: readonly (number | undefined)[];
  /** The submission's time on the host, in ns. */
  readonly wall: number;
  /** CPU time of the process during the submission, in ns. */
  readonly cpu?: number;
}

/** Options of {@linkcode GpuTimer.open}. */
export interface GpuTimerOptions {
  /** The host's clocks, for calibration and for GPUs without a clock. */
  readonly clocks: HostClocks;
  /** `wall`: use the host's clock even if the GPU has one. Default: `timestamp` if possible. */
  readonly kind?: Timer["kind"];
}

/** The most spans of one submission. */
export const MAXIMUM_SPANS = 32;

/** A span is too short to time if it has fewer steps of its clock than this. */
export const MINIMUM_QUANTA = 50;

/**
 * The least time, in ns, over which the GPU's clock is compared with the host's to find the length
 * of a tick.
 */
const CALIBRATION_TIME = 300e6;

/**
 * A clock for one GPU's work.
 */
export class GpuTimer {
  /** The clock, in the form of a result file. */
  readonly timer: Timer;
  /**
   * The shortest span worth timing, in ns: 50 steps of the clock, and for wall time also 50 empty
   * submissions.
   */
  readonly minimumSpan: number;
  /** Times from a nearly empty submission until its end is known, in ns: one per observation. */
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
   * @param options the host's clocks
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
   *   callbacks around a submission
   * @returns the times; `wall` and `cpu` cover the untimed work of the same submission too
   * @throws {GpuError} if the GPU fails
   * @throws {RangeError} for no spans or more than 32, or for `each` with wall time, which cannot
   *   leave that work out
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

/** The GPU's buffers for timestamps. */
interface Stamps {
  readonly queries: GPUQuerySet;
  readonly resolved: GPUBuffer;
  readonly staging: GPUBuffer;
  /**
   * The first timestamp. Distances from it are exact in a double; the timestamps themselves may not
   * be.
   */
  origin: bigint | undefined;
}

function makeStamps({ device }: Gpu): Stamps {
  const count = 2 * MAXIMUM_SPANS;
  return {
    queries: device.createQuerySet({ type: "timestamp", count }),
    resolved: device.createBuffer({
      size: 8 * count,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    }),
    staging: device.createBuffer({
      size: 8 * count,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    }),
    origin: undefined,
  };
}

function freeStamps({ queries, resolved, staging }: Stamps): void {
  queries.destroy();
  resolved.destroy();
  staging.destroy();
}

interface Submission {
  readonly gpu: Gpu;
  readonly clocks: HostClocks;
  readonly spans: readonly Span[];
  readonly untimed?: UntimedWork;
  readonly callbacks?: Callbacks;
}

interface Callbacks {
  readonly started: (() => void) | undefined;
  readonly finished: (() => void) | undefined;
}

interface HostTimes {
  readonly before: number;
  readonly after: number;
  readonly wall: number;
  readonly cpu?: number;
}

async function submitWithStamps(
  stamps: Stamps,
  { gpu, clocks, spans, untimed = {}, callbacks }: Submission,
): Promise<HostTimes & { ticks: (readonly [begin: number, end: number])[] }> {
  const size = 16 * spans.length;
  const host = await submitAndWait(gpu, clocks, {
    callbacks,
    record(encoder) {
      if (untimed.first !== undefined) recordPass(encoder, untimed.first);
      spans.forEach((span, i) => {
        if (untimed.each !== undefined) recordPass(encoder, untimed.each);
        recordPass(encoder, span, {
          querySet: stamps.queries,
          beginningOfPassWriteIndex: 2 * i,
          endOfPassWriteIndex: 2 * i + 1,
        });
      });
      encoder.resolveQuerySet(stamps.queries, 0, 2 * spans.length, stamps.resolved, 0);
      encoder.copyBufferToBuffer(stamps.resolved, 0, stamps.staging, 0, size);
    },
    wait: () => stamps.staging.mapAsync(GPUMapMode.READ, 0, size),
  });
  const times = new BigUint64Array(stamps.staging.getMappedRange(0, size).slice(0));
  stamps.staging.unmap();
  const origin = stamps.origin ??= times[0]!;
  const ticks = spans.map((_, i) =>
    [Number(times[2 * i]! - origin), Number(times[2 * i + 1]! - origin)] as const
  );
  return { ...host, ticks };
}

function submitAndTime(
  gpu: Gpu,
  { clocks, span, callbacks }: {
    readonly clocks: HostClocks;
    readonly span: Span;
    readonly callbacks?: Callbacks;
  },
): Promise<HostTimes> {
  return submitAndWait(gpu, clocks, {
    callbacks,
    record: (encoder) => recordPass(encoder, span),
    wait: () => gpu.device.queue.onSubmittedWorkDone(),
  });
}

function recordPass(
  encoder: GPUCommandEncoder,
  span: Span,
  timestampWrites?: GPUComputePassTimestampWrites,
): void {
  const pass = encoder.beginComputePass(timestampWrites === undefined ? {} : { timestampWrites });
  span(pass);
  pass.end();
}

// The one place that finds out when work is done. Deno waits for the GPU inside the call and then
// sleeps 10 ms before the promise resolves; Dawn and browsers return at once, and the promise
// resolves at the end. A test watches for changes of that behavior.
async function submitAndWait(
  gpu: Gpu,
  clocks: HostClocks,
  { callbacks, record, wait }: {
    readonly callbacks: Callbacks | undefined;
    readonly record: (encoder: GPUCommandEncoder) => void;
    readonly wait: () => Promise<unknown>;
  },
): Promise<HostTimes> {
  let buffer: GPUCommandBuffer | undefined;
  gpu.guard("timer", () => {
    const encoder = gpu.device.createCommandEncoder();
    record(encoder);
    buffer = encoder.finish();
  });
  callbacks?.started?.();
  const cpuBefore = clocks.cpu?.();
  const before = clocks.wall();
  gpu.guard("timer", () => gpu.device.queue.submit([buffer!]));
  const done = wait();
  let after = clocks.wall();
  let cpuAfter = clocks.cpu?.();
  if (gpu.info.runtime === "deno") callbacks?.finished?.();
  try {
    await done;
  } catch (error) {
    await gpu.sync(); // Throws the first cause, if there is one.
    throw error;
  }
  if (gpu.info.runtime !== "deno") {
    after = clocks.wall();
    cpuAfter = clocks.cpu?.();
    callbacks?.finished?.();
  }
  const cpu = cpuBefore === undefined || cpuAfter === undefined
    ? {}
    : { cpu: cpuAfter - cpuBefore };
  return { before, after, wall: after - before, ...cpu };
}

// If the GPU's clock cannot be used, the result tells why.
async function calibrate(
  stamps: Stamps,
  { gpu, clocks, span }: { readonly gpu: Gpu; readonly clocks: HostClocks; readonly span: Span },
): Promise<Timer | string> {
  const spans = Array.from({ length: MAXIMUM_SPANS }, (): Span => span);
  const anchors: ClockAnchor[] = [];
  const times: number[] = [];
  const start = clocks.wall();
  // The first submission of its kind may include extra work, so it is not used for calibration.
  await submitWithStamps(stamps, { gpu, clocks, spans });
  while (anchors.length < 4 || clocks.wall() - start < CALIBRATION_TIME) {
    const { ticks, before, after } = await submitWithStamps(stamps, { gpu, clocks, spans });
    times.push(...ticks.flat());
    anchors.push({ ticks: ticks[0]![0], before, after });
  }
  await gpu.sync();
  const quantum = observeQuantum(times);
  const length = calibrateTicks(anchors);
  if (quantum === undefined) return "the GPU's clock stands still";
  if (length === undefined) return "the GPU's clock does not run evenly with the host's";
  return { kind: "timestamp", quantum: quantum * length.nanosecondsPerTick, ...length };
}
