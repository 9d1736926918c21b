/** The sum of a tensor's elements. */
import sumSource from "../../../kernels/arithmetic/sum.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { workgroupSum } from "../shared/parts.ts";
import { type Planned, runOnce } from "../shared/run_once.ts";
import { checkCall, checkFinite, checkTensor, emptyTensors } from "../shared/validation.ts";

/** Arguments of {@linkcode sum}. */
export interface SumOptions {
  /** Any shape. */
  readonly input: Tensor;
  /** Multiplies the sum; 1/length gives the mean. Default: 1. */
  readonly factor?: number;
}

/** Results of {@linkcode sum}. */
export interface SumResult {
  /** `[1]` */
  readonly total: Tensor;
}

/**
 * Prepares {@linkcode sum} without running it.
 *
 * @param gpu the GPU that holds the tensor
 * @param options the tensor
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types
 * @throws {RangeError} for a factor that is not finite
 *
 * @example
 * ```ts
 * import { openGpu, planSum } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { plan, total } = planSum(gpu, { input: gpu.tensor([1, 2, 3], [3]) });
 * gpu.run(plan);
 * console.log(total.shape, plan.cost.flops);
 * ```
 */
export function planSum(gpu: Gpu, options: SumOptions): Planned<SumResult> {
  const operator = "sum";
  checkCall(operator, gpu, options);
  const { input, factor = 1 } = options;
  checkTensor(gpu, input, { operator, name: "input" });
  checkFinite(factor, { operator, name: "factor" });
  const outputs = emptyTensors(gpu, operator, { total: [1] });
  const plan = new Plan(gpu, {
    operator,
    tensors: { input, ...outputs },
    cost: { flops: input.length, bytes: 4 * (input.length + 1) },
    dispatches: [{
      kernel: { parts: [workgroupSum, { file: "arithmetic/sum.wgsl", source: sumSource }] },
      parameters: [{ u32: input.length }, { f32: factor }],
      buffers: [input, outputs.total],
      workgroups: [1],
    }],
  });
  return { plan, ...outputs };
}

/**
 * Adds a tensor's elements in a fixed order, and multiplies the sum by `factor`. One workgroup adds
 * all elements, which suits thousands of numbers, such as a batch's losses.
 *
 * @param gpu the GPU that holds the tensor
 * @param options `input` […], `factor` (default 1)
 * @returns `total` [1]; enqueued, not waited for
 * @throws {TypeError} for wrong types
 * @throws {RangeError} for a factor that is not finite
 *
 * @example
 * ```ts
 * import { openGpu, sum } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { total } = sum(gpu, { input: gpu.tensor([1, 2, 3], [3]), factor: 1 / 3 });
 * console.log(await total.read()); // 2
 * ```
 */
export function sum(gpu: Gpu, options: SumOptions): SumResult {
  return runOnce(gpu, planSum(gpu, options));
}
