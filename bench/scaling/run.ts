/** Measures all series, and reports after each call. */
import type { GpuInfo } from "../../src/gpu/gpu_info.ts";
import type { Job } from "../../src/measure/jobs.ts";
import type { MeasuringSession } from "../../src/measure/child/session.ts";
import type { Measurement } from "../../src/measure/result_file.ts";
import { type CallMemory, callMemory, type ScalingSeries } from "./series.ts";
import type { Shape } from "../../src/measure/workloads/operator.ts";
import { median, medianInterval } from "../../src/statistics/summary.ts";

import { type EarlierRun, resultIn } from "./resume.ts";
import type { ScalingResult, SeriesResult } from "./result.ts";

/** Options of a run. */
export interface ScalingOptions {
  readonly session: Pick<MeasuringSession, "choose" | "measure">;
  readonly info: GpuInfo;
  /** Seconds for all sampling, approximately. */
  readonly budget: number;
  readonly seed: number;
  /** The number of processors of a CPU adapter. Default: this machine's. */
  readonly processors?: number;
  readonly progress?: (done: number, total: number, text: string) => void;
  readonly interrupted?: () => boolean;
  /** An earlier run. Its calls are not measured again. */
  readonly earlier?: EarlierRun | undefined;
  /** Called after each measured call with all results so far. */
  readonly result?: (results: readonly SeriesResult[]) => Promise<void>;
}

/** A call that is expected to take longer than this share of the budget is left out. */
const LONGEST_SHARE = 1 / 20;

/** Measures one series after another, and each series from its shortest call to its longest. */
export async function runScaling(
  series: readonly ScalingSeries[],
  options: ScalingOptions,
): Promise<SeriesResult[]> {
  const { interrupted = () => false, progress, result: tell } = options;
  const total = series.reduce((sum, { shapes }) => sum + shapes.length, 0);
  const found = series.map(({ kernel, passes, axis, unit }) =>
    passes.map((pass) => ({ kernel, pass, axis, unit, points: [] as ScalingResult[] }))
  );
  let done = 0;
  for (const [s, { shapes, axis }] of series.entries()) {
    for (const shape of shapes) {
      if (interrupted()) return found.flat();
      const { kernel } = series[s]!;
      progress?.(done, total, `${kernel} ${axis}=${shape.dimensions[axis]}`);
      for (const result of found[s]!) {
        const point = await measureCall(result, shape, { ...options, calls: total });
        if (interrupted()) return found.flat();
        result.points.push(point);
        await tell?.(found.flat());
      }
      done++;
    }
  }
  return found.flat();
}

async function measureCall(
  series: SeriesResult,
  shape: Shape,
  { session, info, budget, seed, calls, processors, earlier }:
    & ScalingOptions
    & { readonly calls: number },
): Promise<ScalingResult> {
  const { kernel, pass, axis, unit, points } = series;
  const { dimensions } = shape;
  const [choice] = await session.choose([{ kernel, pass, shape }]);
  const variant = choice!.chosen;
  const call = {
    x: dimensions[axis]!,
    shape: dimensions,
    variant,
    flops: 0,
    bytes: 0,
    samples: [],
  };
  const known = resultIn(earlier, { kernel, pass, shape: dimensions, variant });
  // The earlier run may have the call in another series, with another length on the x axis.
  if (known !== undefined) return { ...known, x: dimensions[axis]! };
  let memory: CallMemory;
  try {
    memory = callMemory(info, { kernel, pass, dimensions }, variant);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ...call, status: "left-out", reason, memory: { tensors: 0, extra: 0 } };
  }
  const expected = expectedTime(points, {
    dimensions,
    processors: processors ?? navigator.hardwareConcurrency,
  });
  if (expected !== undefined && expected > 1e9 * budget * LONGEST_SHARE) {
    const reason = expected === Infinity
      ? "shorter ones take too long already"
      : `a run would take about ${(expected / 1e9).toPrecision(2)} s`;
    return { ...call, status: "left-out", reason, memory };
  }
  const job: Job = {
    id: 0,
    kernel,
    pass,
    shape,
    dtype: "f32",
    variant,
    cache: "hot",
    chosen: true,
    tuned: choice!.tuned,
  };
  let measured: Measurement | undefined;
  await session.measure({
    jobs: [job],
    rule: {
      targetHalfWidth: 0.02,
      minimumSamples: 8,
      maximumSamples: 48,
      budget: 1e9 * budget / calls / 2,
    },
    seed,
    result(_job, measurement) {
      measured = measurement;
      return Promise.resolve();
    },
    skipped() {},
  });
  if (measured === undefined) return { ...call, status: "failed", reason: "no answer", memory };
  const { status = "ok", reason, samples, cpuSamples = [], flops, bytes } = measured;
  const units = unit === "flop" ? flops : bytes;
  const times = summarize(samples, units);
  const cpu = summarize(cpuSamples, units);
  return {
    ...call,
    flops,
    bytes,
    status: status === "ok" && times.time === undefined ? "failed" : status,
    ...reason === undefined ? {} : { reason },
    ...times,
    ...cpu.time === undefined ? {} : { cpu },
    memory,
    samples,
  };
}

function summarize(samples: readonly number[], units: number): NonNullable<ScalingResult["cpu"]> {
  const time = median(samples);
  const interval = medianInterval(samples);
  return {
    ...time === undefined ? {} : { time, perUnit: time / units },
    ...interval === undefined ? {} : { interval },
  };
}

// Estimates a call's time from the series' last call. The time is assumed to grow like the product
// of all lengths, and attention's like B · Hq · D · T². On a CPU adapter, the last call's time is
// its CPU time divided by the number of processors: a busy machine hardly changes CPU time.
function expectedTime(
  points: readonly ScalingResult[],
  { dimensions, processors }: {
    readonly dimensions: Shape["dimensions"];
    readonly processors: number;
  },
): number | undefined {
  const last = points.at(-1);
  if (last === undefined) return undefined;
  if (last.time === undefined) return last.status === "left-out" ? Infinity : undefined;
  const size = (lengths: Shape["dimensions"]): number => {
    const { T = 1, Hq, Hkv = 1 } = lengths;
    const product = Object.values(lengths).reduce((a, b) => a * b, 1);
    return Hq === undefined ? product : product / Hkv * T;
  };
  const time = last.cpu?.time === undefined ? last.time : last.cpu.time / processors;
  return time * size(dimensions) / size(last.shape);
}
