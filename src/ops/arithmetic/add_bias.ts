/** Adds a bias to every row. */
import addBiasSource from "../../../kernels/arithmetic/add_bias.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { elementKernel } from "../rows/parts.ts";
import type { Planned } from "../shared/run_once.ts";
import { checkCall, checkShape, emptyTensors, spreadWorkgroups } from "../shared/validation.ts";

/** Arguments of {@linkcode planAddBias}. */
export interface AddBiasOptions {
  /** `[…, N]` */
  readonly input: Tensor;
  /** `[N]` */
  readonly bias: Tensor;
}

/** Results of {@linkcode planAddBias}. */
export interface AddBiasResult {
  /** Of the input's shape. */
  readonly output: Tensor;
}

/**
 * Prepares adding one vector to every row: `output = input + bias`. The input's gradient equals the
 * output's gradient.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `input` [..., N], `bias` [N]
 * @returns the plan and its output tensor, of the input's shape
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { planAddBias } from "./add_bias.ts";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([1, 2, 3, 4], [2, 2]);
 * const { plan, output } = planAddBias(gpu, { input, bias: gpu.tensor([10, 20], [2]) });
 * gpu.run(plan);
 * console.log(await output.read()); // 11, 22, 13, 24
 * ```
 */
export function planAddBias(gpu: Gpu, options: AddBiasOptions): Planned<AddBiasResult> {
  const operator = "addBias";
  checkCall(operator, gpu, options);
  const { input, bias } = options;
  checkShape(gpu, bias, { operator, name: "bias", wanted: ["N"] });
  const leading = input?.shape?.slice(0, -1).map((_, i) => `N${i}`) ?? [];
  checkShape(gpu, input, { operator, name: "input", wanted: [...leading, bias.length] });
  const outputs = emptyTensors(gpu, operator, { output: input.shape });
  const { kernel, elements: columns } = elementKernel(bias.length, {
    file: "arithmetic/add_bias.wgsl",
    source: addBiasSource,
  });
  const elements = input.length / bias.length * columns;
  const plan = new Plan(gpu, {
    operator,
    tensors: { input, bias, ...outputs },
    cost: { flops: input.length, bytes: 4 * (2 * input.length + bias.length) },
    dispatches: [{
      kernel,
      parameters: [{ u32: elements }, { u32: columns }],
      buffers: [input, bias, outputs.output],
      workgroups: spreadWorkgroups(gpu, Math.ceil(elements / 64)),
    }],
  });
  return { plan, ...outputs };
}
