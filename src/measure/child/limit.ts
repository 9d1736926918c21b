/**
 * Keeps single runs short, because drivers end long ones: browsers share the GPU with the screen,
 * and a dispatch of two seconds can lose the device. A run's time is predicted from smaller runs.
 * The first one has little work, and each later one a few times as much.
 *
 * This file calls no Deno API, because the browser's page uses it too.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { type CeilingSize, referenceKernel, usualCeilingSize } from "../ceilings/candidates.ts";
import { operatorNamed, passNamed } from "../workloads/operators.ts";
import type { GpuTimer } from "../timing.ts";
import type { Workload, WorkloadOptions } from "../workloads.ts";

/** Before any measurement, a GPU is assumed to do this many operations or bytes per second. */
const SLOWEST = 1e9;
/**
 * A run that takes at most this share of the limit, at the assumed rate, needs no smaller run
 * before it.
 */
const FIRST = 0.25;

/** Options of {@linkcode predictRun}. */
export interface PredictOptions {
  readonly timer: Pick<GpuTimer, "time">;
  readonly createWorkload: (gpu: Gpu, options: WorkloadOptions) => Workload;
  /** The longest allowed run, in ns. */
  readonly limit: number;
}

/**
 * Predicts from smaller runs whether a run would take too long.
 *
 * @returns the expected time of the run in ns if it exceeds the limit; otherwise undefined
 * @throws {GpuError} if a smaller run fails
 * @throws {RangeError} if a smaller shape does not fit the kernel
 */
export async function predictRun(
  gpu: Gpu,
  work: WorkloadOptions,
  { timer, createWorkload, limit }: PredictOptions,
): Promise<number | undefined> {
  const { kernel, pass, shape } = work;
  const { roughWork: amount } = passNamed(kernel, pass);
  const { smaller } = operatorNamed(kernel);
  const steps = [shape.dimensions];
  while (amount(steps[0]!) / SLOWEST * 1e9 > FIRST * limit) {
    const next = smaller(steps[0]!);
    if (next === undefined) break;
    steps.unshift(next);
  }
  for (const [i, dimensions] of steps.slice(0, -1).entries()) {
    const workload = createWorkload(gpu, { ...work, shape: { ...shape, dimensions } });
    let time: number;
    // Not `using`: some browsers with WebGPU do not support it.
    try {
      gpu.run(workload.plan);
      await gpu.sync(); // Compiles.
      const { spans, wall } = await timer.time([(pass) => workload.plan.encode(pass)]);
      time = spans[0] ?? wall;
    } finally {
      workload.dispose();
    }
    const expected = time * amount(steps[i + 1]!) / amount(dimensions);
    if (expected > limit) return time * amount(shape.dimensions) / amount(dimensions);
  }
  return undefined;
}

/**
 * Chooses the work per dispatch of the ceilings' kernels, so none lasts long on a slow GPU.
 *
 * @param options.timer times a small dispatch
 * @param options.limit the longest dispatch, in ns
 * @returns the usual size, or a smaller one
 * @throws {GpuError} if the GPU fails
 */
export async function ceilingSizeWithin(
  gpu: Gpu,
  { timer, limit }: { readonly timer: Pick<GpuTimer, "time">; readonly limit: number },
): Promise<CeilingSize> {
  const usual = usualCeilingSize(gpu);
  const small = Math.min(usual.invocations, 2 ** 16);
  const kernel = referenceKernel(gpu, { ...usual, invocations: small });
  try {
    gpu.run(kernel.plan);
    await gpu.sync(); // Compiles.
    const { spans, wall } = await timer.time([(pass) => kernel.plan.encode(pass)]);
    // Aim at an eighth of the limit: the form with 16 vec4f accumulators does 8 times the work of
    // this kernel, which has 8 f32 accumulators.
    const most = limit / 8 / (spans[0] ?? wall) * small;
    let invocations = usual.invocations;
    while (invocations > Math.max(most, 2 ** 12)) invocations /= 2;
    // A slow adapter is probably in a phone with little memory, so it copies less.
    const copyBytes = Math.min(
      usual.copyBytes,
      invocations < usual.invocations ? 2 ** 26 : 2 ** 27,
    );
    return { invocations, copyBytes };
  } finally {
    kernel.dispose();
  }
}
