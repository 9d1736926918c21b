/** SwiGLU, the gated activation of a feed-forward layer, forward and backward. */
import sigmoidSource from "../../../kernels/model/sigmoid.wgsl" with { type: "text" };
import backwardSource from "../../../kernels/model/swiglu_backward.wgsl" with { type: "text" };
import forwardSource from "../../../kernels/model/swiglu_forward.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { KernelPart } from "../../gpu/pipelines.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { type ElementKernel, elementKernel, type RowShape } from "../rows/parts.ts";
import { compiledLengths } from "../shared/compiled_lengths.ts";
import { type Planned, runOnce } from "../shared/run_once.ts";
import {
  checkCall,
  checkShape,
  checkTensor,
  emptyTensors,
  spreadWorkgroups,
} from "../shared/validation.ts";

const sigmoid: KernelPart = { file: "model/sigmoid.wgsl", source: sigmoidSource };

/** Arguments of {@linkcode swigluForward}. */
export interface SwigluForwardOptions {
  /**
   * `[…, 2 · f]`: a row holds the gate's f numbers, then the f numbers that the gate multiplies.
   */
  readonly projections: Tensor;
}

/** Results of {@linkcode swigluForward}. */
export interface SwigluForwardResult {
  /** `[…, f]` */
  readonly hidden: Tensor;
}

/** Arguments of {@linkcode swigluBackward}. */
export interface SwigluBackwardOptions extends SwigluForwardOptions {
  /** The loss's gradient with respect to `hidden`: `[…, f]`. */
  readonly hiddenGradient: Tensor;
}

/** Results of {@linkcode swigluBackward}. */
export interface SwigluBackwardResult {
  /** `[…, 2 · f]` */
  readonly projectionsGradient: Tensor;
}

function checkProjections(
  gpu: Gpu,
  operator: string,
  options: SwigluForwardOptions,
): { readonly rows: number; readonly columns: number; readonly hiddenShape: readonly number[] } {
  checkCall(operator, gpu, options);
  const { projections } = options;
  checkTensor(gpu, projections, { operator, name: "projections" });
  const width = projections.shape.at(-1) ?? 1;
  if (width % 2 !== 0) {
    throw new TypeError(
      `${operator}: projections has rows of ${width} numbers, wanted an even number`,
    );
  }
  const columns = width / 2;
  return {
    rows: projections.length / width,
    columns,
    hiddenShape: [...projections.shape.slice(0, -1), columns],
  };
}

// Makes a kernel for rows of f = `columns` hidden numbers.
function kernelFor(gpu: Gpu, { rows, columns }: RowShape, part: KernelPart): ElementKernel {
  const { kernel, elements } = elementKernel(columns, sigmoid, part);
  const constants = compiledLengths(gpu, {
    invocations: rows * elements,
    lengths: { ELEMENTS: elements },
  });
  return { kernel: { ...kernel, constants }, elements };
}

/**
 * Prepares {@linkcode swigluForward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensor
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planSwigluForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const projections = gpu.tensor([0, 100, 1, 2], [1, 4]);
 * const { plan, hidden } = planSwigluForward(gpu, { projections });
 * gpu.run(plan);
 * console.log(hidden.shape, plan.cost.flops);
 * ```
 */
export function planSwigluForward(
  gpu: Gpu,
  options: SwigluForwardOptions,
): Planned<SwigluForwardResult> {
  const operator = "swigluForward";
  const { rows, columns, hiddenShape } = checkProjections(gpu, operator, options);
  const outputs = emptyTensors(gpu, operator, { hidden: hiddenShape });
  const { kernel, elements } = kernelFor(gpu, { rows, columns }, {
    file: "model/swiglu_forward.wgsl",
    source: forwardSource,
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { projections: options.projections, ...outputs },
    // Per element: an exponential, a sum, a division and two products.
    cost: { flops: 5 * rows * columns, bytes: 12 * rows * columns },
    dispatches: [{
      kernel,
      parameters: [{ u32: rows }, { u32: elements }],
      buffers: [options.projections, outputs.hidden],
      workgroups: spreadWorkgroups(gpu, Math.ceil(rows * elements / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * SwiGLU: `hidden = g σ(g) u`, where σ is the logistic function, g the first half of each row and u
 * the second.
 *
 * Source: Shazeer, arXiv 2002.05202.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `projections` […, 2 · f]
 * @returns `hidden` […, f]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, swigluForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { hidden } = swigluForward(gpu, { projections: gpu.tensor([0, 100, 1, 2], [1, 4]) });
 * console.log(await hidden.read()); // 0, 200
 * ```
 */
export function swigluForward(gpu: Gpu, options: SwigluForwardOptions): SwigluForwardResult {
  return runOnce(gpu, planSwigluForward(gpu, options));
}

/**
 * Prepares {@linkcode swigluBackward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planSwigluBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { plan, projectionsGradient } = planSwigluBackward(gpu, {
 *   projections: gpu.tensor([0, 100, 1, 2], [1, 4]),
 *   hiddenGradient: gpu.tensor([1, 1], [1, 2]),
 * });
 * gpu.run(plan);
 * console.log(projectionsGradient.shape, plan.cost.flops);
 * ```
 */
export function planSwigluBackward(
  gpu: Gpu,
  options: SwigluBackwardOptions,
): Planned<SwigluBackwardResult> {
  const operator = "swigluBackward";
  const { rows, columns, hiddenShape } = checkProjections(gpu, operator, options);
  const { projections, hiddenGradient } = options;
  checkShape(gpu, hiddenGradient, { operator, name: "hiddenGradient", wanted: hiddenShape });
  const outputs = emptyTensors(gpu, operator, { projectionsGradient: projections.shape });
  const { kernel, elements } = kernelFor(gpu, { rows, columns }, {
    file: "model/swiglu_backward.wgsl",
    source: backwardSource,
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { projections, hiddenGradient, ...outputs },
    // Operations per element: three for s = σ(g), two for h′ g s, one for h′ u, four for
    // s (1 + g (1 − s)), and one for the product of the last two results.
    cost: { flops: 11 * rows * columns, bytes: 20 * rows * columns },
    dispatches: [{
      kernel,
      parameters: [{ u32: rows }, { u32: elements }],
      buffers: [projections, hiddenGradient, outputs.projectionsGradient],
      workgroups: spreadWorkgroups(gpu, Math.ceil(rows * elements / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * The gradients of {@linkcode swigluForward}. With `s = σ(g)` and h′ the hiddenGradient: `∂L/∂g =
 * h′ u s (1 + g (1 − s))`, `∂L/∂u = h′ g s`, joined like g and u.
 *
 * Source: Shazeer, arXiv 2002.05202.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `projections` […, 2 · f], `hiddenGradient` […, f]
 * @returns `projectionsGradient` […, 2 · f]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, swigluBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { projectionsGradient } = swigluBackward(gpu, {
 *   projections: gpu.tensor([0, 100, 1, 2], [1, 4]),
 *   hiddenGradient: gpu.tensor([1, 1], [1, 2]),
 * });
 * console.log(await projectionsGradient.read()); // 0.5, 2, 0, 100
 * ```
 */
export function swigluBackward(gpu: Gpu, options: SwigluBackwardOptions): SwigluBackwardResult {
  return runOnce(gpu, planSwigluBackward(gpu, options));
}
