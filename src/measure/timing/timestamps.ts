/**
 * Reads the GPU's clock at the beginning and end of every span of a submission, and finds the
 * length of the clock's tick.
 *
 * This file calls no Deno API, because the browser's page uses it too.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Timer } from "../result_file.ts";
import { calibrateTicks, type ClockAnchor, observeQuantum } from "./calibration.ts";
import {
  type Callbacks,
  type HostClocks,
  type HostTimes,
  recordPass,
  type Span,
  submitAndWait,
  type UntimedWork,
} from "./submission.ts";

/** The most spans of one submission. */
export const MAXIMUM_SPANS = 32;

/**
 * The least time, in ns, over which the GPU's clock is compared with the host's to find the length
 * of a tick.
 */
const CALIBRATION_TIME = 300e6;

/** The GPU's buffers for timestamps. */
export interface Stamps {
  readonly queries: GPUQuerySet;
  readonly resolved: GPUBuffer;
  readonly staging: GPUBuffer;
  /**
   * The first timestamp. Distances from it are exact in a double; the timestamps themselves may not
   * be.
   */
  origin: bigint | undefined;
}

/**
 * Makes the buffers.
 *
 * @param gpu the GPU, with the feature `timestamp-query`
 */
export function makeStamps({ device }: Gpu): Stamps {
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

/** Frees the buffers. */
export function freeStamps({ queries, resolved, staging }: Stamps): void {
  queries.destroy();
  resolved.destroy();
  staging.destroy();
}

/** A submission of spans to time. */
export interface Submission {
  readonly gpu: Gpu;
  readonly clocks: HostClocks;
  readonly spans: readonly Span[];
  readonly untimed?: UntimedWork;
  readonly callbacks?: Callbacks;
}

/**
 * Submits spans, at most {@linkcode MAXIMUM_SPANS}, each in a pass of its own, and reads their
 * timestamps.
 *
 * @returns the ticks at which each span began and ended, counted from `stamps.origin`, and the
 *   submission's times on the host
 */
export async function submitWithStamps(
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

/**
 * Finds the GPU clock's step and the length of its tick, which takes about 0.3 s.
 *
 * @returns the clock in the form of a result file, or why it cannot be used
 */
export async function calibrate(
  stamps: Stamps,
  { gpu, clocks, span }: { readonly gpu: Gpu; readonly clocks: HostClocks; readonly span: Span },
): Promise<Timer | string> {
  const spans = Array.from({ length: MAXIMUM_SPANS }, (): Span => span);
  const anchors: ClockAnchor[] = [];
  const times: number[] = [];
  const start = clocks.wall();
  // The first submission of this kind may take extra time, so it is not used for calibration.
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
