/**
 * Submits compute passes and times the submission on the host.
 *
 * This file calls no Deno API, and clocks are parameters, because the browser's page uses it too.
 */
import type { Gpu } from "../../gpu/gpu.ts";

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

/** Work that is submitted with the spans, but that their times do not include. */
export interface UntimedWork {
  /** Recorded once, before all spans: brings the data into the cache. */
  readonly first?: Span;
  /** Recorded before every span: evicts the data from the cache. */
  readonly each?: Span;
}

/** Called around a submission. */
export interface Callbacks {
  readonly started: (() => void) | undefined;
  readonly finished: (() => void) | undefined;
}

/** The times of one submission on the host, in ns. */
export interface HostTimes {
  readonly before: number;
  readonly after: number;
  readonly wall: number;
  readonly cpu?: number;
}

export function submitAndTime(
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

/**
 * Records a span into a compute pass of its own.
 *
 * @param timestampWrites where the pass writes timestamps. Default: nowhere
 */
export function recordPass(
  encoder: GPUCommandEncoder,
  span: Span,
  timestampWrites?: GPUComputePassTimestampWrites,
): void {
  const pass = encoder.beginComputePass(timestampWrites === undefined ? {} : { timestampWrites });
  span(pass);
  pass.end();
}

/**
 * Submits work, waits until it is done, and measures how long that takes on the host.
 *
 * This is the one place that finds out when work is done. On Deno, the call of `wait` returns when
 * the GPU has finished, and its promise resolves 10 ms later. On Dawn and in browsers, the call
 * returns at once, and its promise resolves when the GPU has finished. A test notices if a runtime
 * changes that.
 */
export async function submitAndWait(
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
    await gpu.sync(); // Throws the GPU's own error, if it had one.
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
