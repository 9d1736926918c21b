/** The norm of all gradients together, and the factor that clips it. */
import normSource from "../../../kernels/arithmetic/norm.wgsl" with { type: "text" };
import sumSquaresSource from "../../../kernels/arithmetic/sum_squares.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel } from "../../gpu/pipelines.ts";
import { type Dispatch, Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { range, workgroupSum } from "../shared/parts.ts";
import type { Planned } from "../shared/run_once.ts";
import { checkCall, checkFinite, checkTensor } from "../shared/validation.ts";

/** Arguments of {@linkcode planGradientNorm}. */
export interface GradientNormOptions {
  /** At least one, of any shapes. */
  readonly gradients: readonly Tensor[];
  /** The largest norm that is not clipped, above 0. */
  readonly maximum: number;
}

/** Results of {@linkcode planGradientNorm}. */
export interface GradientNormResult {
  /**
   * `[2]`: the norm of all gradients together, and the factor min(1, maximum / norm) that clips it.
   * If the norm is infinite or NaN, or more than 8.5·10³⁷ times the maximum, the factor is NaN, and
   * `planAdamW` then changes nothing.
   */
  readonly clipping: Tensor;
}

const sumSquaresKernel: Kernel = {
  parts: [workgroupSum, range, { file: "arithmetic/sum_squares.wgsl", source: sumSquaresSource }],
};
const normKernel: Kernel = {
  parts: [workgroupSum, range, { file: "arithmetic/norm.wgsl", source: normSource }],
};

/**
 * Each workgroup adds the squares of a run: consecutive elements of a tensor. A tensor has at most
 * MOST_RUNS runs: enough to fill a GPU, and few enough to add their sums at little cost. Only a
 * tensor's last run may have fewer than LEAST_ELEMENTS elements.
 */
const MOST_RUNS = 256;
const LEAST_ELEMENTS = 4096;

/**
 * Prepares the norm of many gradients together, and the factor that clips it. No number leaves the
 * GPU. The squares are added in a fixed order, so the same gradients give the same bits. The norm
 * is correct whenever float32 can hold it.
 *
 * Source: Pascanu, Mikolov, Bengio, arXiv 1211.5063.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the gradients and the largest norm
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types, or no gradients
 * @throws {RangeError} for a maximum that is not positive and finite
 *
 * @example
 * ```ts
 * import { openGpu, planGradientNorm } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const gradients = [gpu.tensor([3], [1]), gpu.tensor([0, 4], [2])];
 * const { plan, clipping } = planGradientNorm(gpu, { gradients, maximum: 1 });
 * gpu.run(plan);
 * console.log(await clipping.read()); // 5, 0.2
 * ```
 */
export function planGradientNorm(
  gpu: Gpu,
  options: GradientNormOptions,
): Planned<GradientNormResult> {
  const operator = "gradientNorm";
  checkCall(operator, gpu, options);
  const { gradients, maximum } = options;
  if (!Array.isArray(gradients) || gradients.length === 0) {
    throw new TypeError(`${operator}: gradients is ${gradients}, wanted at least one tensor`);
  }
  gradients.forEach((gradient, i) =>
    checkTensor(gpu, gradient, { operator, name: `gradients[${i}]` })
  );
  checkFinite(maximum, { operator, name: "maximum", above: 0 });
  const divisions = gradients.map(({ length }) => {
    const elementsPerRun = Math.max(LEAST_ELEMENTS, Math.ceil(length / MOST_RUNS));
    return { length, elementsPerRun, runs: Math.ceil(length / elementsPerRun) };
  });
  const runs = divisions.reduce((sum, division) => sum + division.runs, 0);
  const partial = gpu.storage(8 * runs);
  let start = 0;
  const squares = divisions.map(({ length, elementsPerRun, runs }, i): Dispatch => {
    start += runs;
    return {
      kernel: sumSquaresKernel,
      parameters: [{ u32: length }, { u32: elementsPerRun }, { u32: start - runs }],
      buffers: [gradients[i] as Tensor, partial],
      workgroups: [runs],
    };
  });
  const clipping = gpu.empty([2]);
  const length = gradients.reduce((sum, gradient) => sum + gradient.length, 0);
  const plan = new Plan(gpu, {
    operator,
    tensors: { gradients, clipping },
    cost: { flops: 2 * length, bytes: 4 * (length + 2) },
    dispatches: [...squares, {
      kernel: normKernel,
      parameters: [{ u32: runs }, { f32: maximum }],
      buffers: [partial, clipping],
      workgroups: [1],
    }],
    scratch: [partial],
  });
  return { plan, clipping };
}
