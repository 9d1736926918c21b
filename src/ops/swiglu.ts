import type { Gpu } from "../gpu/gpu.ts";
import { Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { swigluBackwardKernel, swigluForwardKernel } from "./model_kernels.ts";
import { type Planned, runOnce } from "./run_once.ts";
import {
  checkCall,
  checkShape,
  checkTensor,
  emptyTensors,
  spreadWorkgroups,
} from "./validation.ts";

/** Arguments of {@linkcode swigluForward}. */
export interface SwigluForwardOptions {
  /** Any shape. */
  readonly gate: Tensor;
  /** Of the gate's shape. */
  readonly up: Tensor;
}

/** Results of {@linkcode swigluForward}. */
export interface SwigluForwardResult {
  /** Of the gate's shape. */
  readonly hidden: Tensor;
}

/** Arguments of {@linkcode swigluBackward}. */
export interface SwigluBackwardOptions extends SwigluForwardOptions {
  /** The loss's gradient by `hidden`, of its shape. */
  readonly hiddenGradient: Tensor;
}

/** Results of {@linkcode swigluBackward}. */
export interface SwigluBackwardResult {
  /** Of the gate's shape. */
  readonly gateGradient: Tensor;
  /** Of the gate's shape. */
  readonly upGradient: Tensor;
}

function checkGate(gpu: Gpu, operator: string, options: SwigluForwardOptions): void {
  checkCall(operator, gpu, options);
  checkTensor(gpu, options.gate, { operator, name: "gate" });
  checkShape(gpu, options.up, { operator, name: "up", wanted: options.gate.shape });
}

/**
 * Prepares {@linkcode swigluForward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter
 *
 * @example
 * ```ts
 * import { openGpu, planSwigluForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const gate = gpu.tensor([0, 100], [2]);
 * const { plan, hidden } = planSwigluForward(gpu, { gate, up: gpu.tensor([1, 2], [2]) });
 * gpu.run(plan);
 * console.log(hidden.shape, plan.cost.flops);
 * ```
 */
export function planSwigluForward(
  gpu: Gpu,
  options: SwigluForwardOptions,
): Planned<SwigluForwardResult> {
  const operator = "swigluForward";
  checkGate(gpu, operator, options);
  const { gate, up } = options;
  const outputs = emptyTensors(gpu, operator, { hidden: gate.shape });
  const { kernel, elements } = swigluForwardKernel(gate.length);
  const plan = new Plan(gpu, {
    operator,
    // An exponential, a sum, a division and two products.
    cost: { flops: 5 * gate.length, bytes: 12 * gate.length },
    dispatches: [{
      kernel,
      parameters: [{ u32: elements }],
      buffers: [gate.binding, up.binding, outputs.hidden.binding],
      workgroups: spreadWorkgroups(gpu, Math.ceil(elements / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * SwiGLU: `hidden = g σ(g) u`, σ the logistic function.
 *
 * Source: Shazeer, arXiv 2002.05202.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `gate` and `up`, of one shape
 * @returns `hidden`, of that shape; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter
 *
 * @example
 * ```ts
 * import { openGpu, swigluForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const gate = gpu.tensor([0, 100], [2]);
 * const { hidden } = swigluForward(gpu, { gate, up: gpu.tensor([1, 2], [2]) });
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
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter
 *
 * @example
 * ```ts
 * import { openGpu, planSwigluBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const gate = gpu.tensor([0, 100], [2]);
 * const up = gpu.tensor([1, 2], [2]);
 * const { plan, gateGradient } = planSwigluBackward(gpu, { gate, up, hiddenGradient: up });
 * gpu.run(plan);
 * console.log(gateGradient.shape, plan.cost.flops);
 * ```
 */
export function planSwigluBackward(
  gpu: Gpu,
  options: SwigluBackwardOptions,
): Planned<SwigluBackwardResult> {
  const operator = "swigluBackward";
  checkGate(gpu, operator, options);
  const { gate, up, hiddenGradient } = options;
  checkShape(gpu, hiddenGradient, { operator, name: "hiddenGradient", wanted: gate.shape });
  const outputs = emptyTensors(gpu, operator, {
    gateGradient: gate.shape,
    upGradient: gate.shape,
  });
  const { kernel, elements } = swigluBackwardKernel(gate.length);
  const plan = new Plan(gpu, {
    operator,
    // σ (3), h' u and h' g s (3), s (1 + g (1 − s)) (4), and their product.
    cost: { flops: 11 * gate.length, bytes: 20 * gate.length },
    dispatches: [{
      kernel,
      parameters: [{ u32: elements }],
      buffers: [
        gate.binding,
        up.binding,
        hiddenGradient.binding,
        outputs.gateGradient.binding,
        outputs.upGradient.binding,
      ],
      workgroups: spreadWorkgroups(gpu, Math.ceil(elements / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * The gradients of {@linkcode swigluForward}. With `s = σ(g)` and h′ the hiddenGradient: `∂L/∂g = h′ u s (1 + g (1 − s))`,
 * `∂L/∂u = h′ g s`.
 *
 * Source: Shazeer, arXiv 2002.05202.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `gate`, `up` and `hiddenGradient`, of one shape
 * @returns `gateGradient` and `upGradient`, of that shape; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter
 *
 * @example
 * ```ts
 * import { openGpu, swigluBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const gate = gpu.tensor([0, 100], [2]);
 * const up = gpu.tensor([1, 2], [2]);
 * const { gateGradient } = swigluBackward(gpu, { gate, up, hiddenGradient: gpu.tensor([1, 1], [2]) });
 * console.log(await gateGradient.read()); // 0.5, 2
 * ```
 */
export function swigluBackward(gpu: Gpu, options: SwigluBackwardOptions): SwigluBackwardResult {
  return runOnce(gpu, planSwigluBackward(gpu, options));
}
