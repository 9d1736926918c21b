/**
 * Rounds numbers to INT8 and back, to show what quantization does to a model, and finds the largest
 * magnitudes, which set the scales.
 */
import absoluteMaximumSource from "../../../kernels/arithmetic/absolute_maximum.wgsl" with {
  type: "text",
};
import fakeQuantizeSource from "../../../kernels/arithmetic/fake_quantize.wgsl" with {
  type: "text",
};
import fakeQuantizeRowsSource from "../../../kernels/arithmetic/fake_quantize_rows.wgsl" with {
  type: "text",
};
import quantizedSource from "../../../kernels/arithmetic/quantized.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { range } from "../shared/parts.ts";
import { type Planned, runOnce } from "../shared/run_once.ts";
import {
  checkCall,
  checkShape,
  checkTensor,
  elementCount,
  emptyTensors,
  spreadWorkgroups,
} from "../shared/validation.ts";

const quantized: KernelPart = { file: "arithmetic/quantized.wgsl", source: quantizedSource };
const fakeQuantizeKernel: Kernel = {
  parts: [range, quantized, { file: "arithmetic/fake_quantize.wgsl", source: fakeQuantizeSource }],
};
const fakeQuantizeRowsKernel: Kernel = {
  parts: [quantized, {
    file: "arithmetic/fake_quantize_rows.wgsl",
    source: fakeQuantizeRowsSource,
  }],
};

/** Arguments of {@linkcode fakeQuantize}. */
export interface FakeQuantizeOptions {
  /** `[…, d]` */
  readonly input: Tensor;
  /**
   * `[1]`: the magnitude that becomes 127, for the whole tensor; a negative one makes every output
   * NaN. Default: each row's own largest magnitude.
   */
  readonly maximum?: Tensor;
}

/** Results of {@linkcode fakeQuantize}. */
export interface FakeQuantizeResult {
  /** Of the input's shape. */
  readonly output: Tensor;
}

/** Arguments of {@linkcode planAbsoluteMaximum}. */
export interface AbsoluteMaximumOptions {
  /** Any shape. */
  readonly input: Tensor;
  /**
   * `[1]`, at least 0: the maximum of earlier tensors, changed in place. Default: a new tensor that
   * holds 0.
   */
  readonly maximum?: Tensor;
}

/** Results of {@linkcode planAbsoluteMaximum}. */
export interface AbsoluteMaximumResult {
  /** `[1]` */
  readonly maximum: Tensor;
}

/**
 * Prepares {@linkcode fakeQuantize} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planFakeQuantize } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { plan, output } = planFakeQuantize(gpu, { input: gpu.tensor([127, 0.4, -3.5], [1, 3]) });
 * gpu.run(plan);
 * console.log(output.shape, plan.cost.flops);
 * ```
 */
export function planFakeQuantize(
  gpu: Gpu,
  options: FakeQuantizeOptions,
): Planned<FakeQuantizeResult> {
  const operator = "fakeQuantize";
  checkCall(operator, gpu, options);
  const { input, maximum } = options;
  checkTensor(gpu, input, { operator, name: "input" });
  if (maximum !== undefined) checkShape(gpu, maximum, { operator, name: "maximum", wanted: [1] });
  const outputs = emptyTensors(gpu, operator, { output: input.shape });
  const columns = input.shape.at(-1) ?? 1;
  const rows = elementCount(input.shape) / columns;
  const plan = new Plan(gpu, {
    operator,
    tensors: { input, maximum, ...outputs },
    // Operations per element: a quotient, a rounding, a clamp and a product. If the maximum is not
    // given, finding it takes one more.
    cost: { flops: (maximum === undefined ? 5 : 4) * input.length, bytes: 8 * input.length },
    dispatches: [
      maximum === undefined
        ? {
          kernel: fakeQuantizeRowsKernel,
          parameters: [{ u32: rows }, { u32: columns }],
          buffers: [input, outputs.output],
          workgroups: spreadWorkgroups(gpu, rows),
        }
        : {
          kernel: fakeQuantizeKernel,
          parameters: [{ u32: input.length }],
          buffers: [input, maximum, outputs.output],
          workgroups: spreadWorkgroups(gpu, Math.ceil(input.length / 256)),
        },
    ],
  });
  return { plan, ...outputs };
}

/**
 * Rounds numbers to symmetric INT8 and back: `s clamp(round(x / s), −127, 127)` with `s = maximum /
 * 127`, in float32; halves round to even. With `maximum`, the whole tensor has one scale (static);
 * without it, every row has its own scale (dynamic, per token).
 *
 * @param gpu the GPU that holds the tensors
 * @param options `input` […, d], `maximum` [1]
 * @returns `output` […, d]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { fakeQuantize, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { output } = fakeQuantize(gpu, { input: gpu.tensor([127, 0.4, -3.5], [1, 3]) });
 * console.log(await output.read()); // 127, 0, -4
 * ```
 */
export function fakeQuantize(gpu: Gpu, options: FakeQuantizeOptions): FakeQuantizeResult {
  return runOnce(gpu, planFakeQuantize(gpu, options));
}

/**
 * Prepares finding the largest magnitude of a tensor: `maximum ← max(maximum, max |x|)`. Plans for
 * several tensors that share one `maximum` calibrate one scale for all of these tensors.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensor, and the maximum of earlier ones
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes, or if both tensors share memory
 *
 * @example
 * ```ts
 * import { openGpu, planAbsoluteMaximum } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { plan, maximum } = planAbsoluteMaximum(gpu, { input: gpu.tensor([1, -3, 2], [3]) });
 * gpu.run(plan);
 * console.log(await maximum.read()); // 3
 * ```
 */
export function planAbsoluteMaximum(
  gpu: Gpu,
  options: AbsoluteMaximumOptions,
): Planned<AbsoluteMaximumResult> {
  const operator = "absoluteMaximum";
  checkCall(operator, gpu, options);
  const { input, maximum: given } = options;
  checkTensor(gpu, input, { operator, name: "input" });
  if (given !== undefined) checkShape(gpu, given, { operator, name: "maximum", wanted: [1] });
  const maximum = given ?? gpu.empty([1]); // New buffers are zero.
  const plan = new Plan(gpu, {
    operator,
    tensors: { input, maximum },
    cost: { flops: input.length, bytes: 4 * (input.length + 2) },
    dispatches: [{
      kernel: {
        parts: [{ file: "arithmetic/absolute_maximum.wgsl", source: absoluteMaximumSource }],
      },
      parameters: [{ u32: input.length }],
      buffers: [input, maximum],
      workgroups: [1],
    }],
  });
  return { plan, maximum };
}
