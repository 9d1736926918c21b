/** V-scale's constant as a trained parameter, forward and backward. */
import backwardSource from "../../../kernels/v_scale/learned_constant_backward.wgsl" with {
  type: "text",
};
import forwardSource from "../../../kernels/v_scale/learned_constant_forward.wgsl" with {
  type: "text",
};
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { type Planned, runOnce } from "../shared/run_once.ts";
import {
  checkCall,
  checkFinite,
  checkShape,
  emptyTensors,
  outputTensors,
} from "../shared/validation.ts";

/** Arguments of {@linkcode learnedConstantForward}. */
export interface LearnedConstantForwardOptions {
  /** θ, the trained parameter, one per value head: `[Hkv]`. */
  readonly theta: Tensor;
  /** V-scale's constant C at θ = 0; above 0. */
  readonly base: number;
}

/** Results of {@linkcode learnedConstantForward}. */
export interface LearnedConstantForwardResult {
  /** `[Hkv]` */
  readonly constant: Tensor;
}

/** Arguments of {@linkcode learnedConstantBackward}. */
export interface LearnedConstantBackwardOptions {
  /** `[Hkv]`, the forward's constant. */
  readonly constant: Tensor;
  /** The loss's gradient with respect to the constant: `[Hkv]`. */
  readonly constantGradient: Tensor;
  /** The tensor for θ's gradient, `[Hkv]`. Default: a new one. */
  readonly thetaGradient?: Tensor;
}

/** Results of {@linkcode learnedConstantBackward}. */
export interface LearnedConstantBackwardResult {
  /** `[Hkv]` */
  readonly thetaGradient: Tensor;
}

/**
 * Prepares {@linkcode learnedConstantForward} without running it.
 *
 * @param gpu the GPU that holds the tensor
 * @param options `theta` [Hkv], and `base`, the constant C at θ = 0
 * @returns the plan and its output, `constant` [Hkv]
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a base that is not positive and finite
 *
 * @example
 * ```ts
 * import { openGpu, planLearnedConstantForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const theta = gpu.tensor([0, Math.log(2)], [2]);
 * const { plan, constant } = planLearnedConstantForward(gpu, { theta, base: 0.5 });
 * gpu.run(plan);
 * console.log(constant.shape, plan.cost.flops);
 * ```
 */
export function planLearnedConstantForward(
  gpu: Gpu,
  options: LearnedConstantForwardOptions,
): Planned<LearnedConstantForwardResult> {
  const operator = "learnedConstantForward";
  checkCall(operator, gpu, options);
  const { theta, base } = options;
  checkShape(gpu, theta, { operator, name: "theta", wanted: ["Hkv"] });
  checkFinite(base, { operator, name: "base", above: 0 });
  const outputs = emptyTensors(gpu, operator, { constant: theta.shape });
  const plan = new Plan(gpu, {
    operator,
    tensors: { theta, ...outputs },
    cost: { flops: 2 * theta.length, bytes: 8 * theta.length },
    dispatches: [{
      kernel: {
        parts: [{ file: "v_scale/learned_constant_forward.wgsl", source: forwardSource }],
      },
      parameters: [{ u32: theta.length }, { f32: base }],
      buffers: [theta, outputs.constant],
      workgroups: [Math.ceil(theta.length / 64)],
    }],
  });
  return { plan, ...outputs };
}

/**
 * V-scale's learned constant, one per value head: `C = base e^θ`.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771.
 *
 * @param gpu the GPU that holds the tensor
 * @param options `theta` [Hkv], `base`
 * @returns `constant` [Hkv]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a base that is not positive and finite
 *
 * @example
 * ```ts
 * import { learnedConstantForward, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const theta = gpu.tensor([0, Math.log(2)], [2]);
 * const { constant } = learnedConstantForward(gpu, { theta, base: 0.5 });
 * console.log(await constant.read()); // 0.5, 1
 * ```
 */
export function learnedConstantForward(
  gpu: Gpu,
  options: LearnedConstantForwardOptions,
): LearnedConstantForwardResult {
  return runOnce(gpu, planLearnedConstantForward(gpu, options));
}

/**
 * Prepares {@linkcode learnedConstantBackward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes, or if `thetaGradient` shares memory with an input
 *
 * @example
 * ```ts
 * import { openGpu, planLearnedConstantBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { plan, thetaGradient } = planLearnedConstantBackward(gpu, {
 *   constant: gpu.tensor([0.5, 1], [2]),
 *   constantGradient: gpu.tensor([2, 3], [2]),
 * });
 * gpu.run(plan);
 * console.log(thetaGradient.shape, plan.cost.flops);
 * ```
 */
export function planLearnedConstantBackward(
  gpu: Gpu,
  options: LearnedConstantBackwardOptions,
): Planned<LearnedConstantBackwardResult> {
  const operator = "learnedConstantBackward";
  checkCall(operator, gpu, options);
  const { constant, constantGradient } = options;
  checkShape(gpu, constant, { operator, name: "constant", wanted: ["Hkv"] });
  checkShape(gpu, constantGradient, {
    operator,
    name: "constantGradient",
    wanted: constant.shape,
  });
  const outputs = outputTensors(gpu, operator, {
    shapes: { thetaGradient: constant.shape },
    given: options,
    inputs: { constant, constantGradient },
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { constant, constantGradient, ...outputs },
    cost: { flops: constant.length, bytes: 12 * constant.length },
    dispatches: [{
      kernel: {
        parts: [{ file: "v_scale/learned_constant_backward.wgsl", source: backwardSource }],
      },
      parameters: [{ u32: constant.length }],
      buffers: [constant, constantGradient, outputs.thetaGradient],
      workgroups: [Math.ceil(constant.length / 64)],
    }],
  });
  return { plan, ...outputs };
}

/**
 * The gradient of {@linkcode learnedConstantForward}: `∂L/∂θ = C ∂L/∂C`.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `constant` and `constantGradient` [Hkv]
 * @returns `thetaGradient` [Hkv]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes, or if `thetaGradient` shares memory with an input
 *
 * @example
 * ```ts
 * import { learnedConstantBackward, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { thetaGradient } = learnedConstantBackward(gpu, {
 *   constant: gpu.tensor([0.5, 1], [2]),
 *   constantGradient: gpu.tensor([2, 3], [2]),
 * });
 * console.log(await thetaGradient.read()); // 1, 3
 * ```
 */
export function learnedConstantBackward(
  gpu: Gpu,
  options: LearnedConstantBackwardOptions,
): LearnedConstantBackwardResult {
  return runOnce(gpu, planLearnedConstantBackward(gpu, options));
}
