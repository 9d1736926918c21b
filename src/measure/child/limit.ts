/**
 * Keeps single runs short where a driver ends long ones: browsers share the GPU with the screen,
 * and a dispatch of two seconds can cost the whole device. How long a run takes is found by running
 * smaller ones, each at most a few times as much work as the one before, until the wanted one is
 * next or the next one would be too long.
 *
 * No Deno call here: it is for the browser's page.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { type CeilingSize, referenceKernel, usualCeilingSize } from "../ceilings/candidates.ts";
import { operatorNamed, passNamed } from "../workloads/operators.ts";
import type { GpuTimer } from "../timing.ts";
import type { Workload, WorkloadOptions } from "../workloads.ts";

/**
 * A run of a GPU that does this many operations or bytes per second takes as long as is assumed
 * before it is measured.
 */
const SLOWEST = 1e9;
/**
 * Smaller work than this share of the limit, by that assumption, is run without having tried a
 * smaller one.
 */
const FIRST = 0.25;

/** Options of {@linkcode predictRun}. */
export interface PredictOptions {
  readonly timer: Pick<GpuTimer, "time">;
  readonly createWorkload: (gpu: Gpu, options: WorkloadOptions) => Workload;
  /** The longest run allowed, in ns. */
  readonly limit: number;
}

/**
 * Predicts a run that would take too long.
 *
 * @param gpu the GPU
 * @param work what to run
 * @param options the timer and the limit
 * @returns the expected time of a run in ns if that is above the limit; undefined if it is not
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
    // Not `using`: browsers that have WebGPU need not know it.
    try {
      gpu.run(workload.plan);
      await gpu.sync(); // compiles
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
 * The work of one dispatch for the ceilings' kernels, such that none lasts long on a slow GPU.
 *
 * @param gpu the GPU
 * @param options.timer what times a small one
 * @param options.limit in ns
 * @returns the usual size, or less
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
    await gpu.sync(); // compiles
    const { spans, wall } = await timer.time([(pass) => kernel.plan.encode(pass)]);
    // Other kernels do twice as much work, some of it at a fraction of the rate.
    const most = limit / 8 / (spans[0] ?? wall) * small;
    let invocations = usual.invocations;
    while (invocations > Math.max(most, 2 ** 12)) invocations /= 2;
    // A slow adapter is a phone's, with little memory.
    const copyBytes = Math.min(
      usual.copyBytes,
      invocations < usual.invocations ? 2 ** 26 : 2 ** 27,
    );
    return { invocations, copyBytes };
  } finally {
    kernel.dispose();
  }
}
