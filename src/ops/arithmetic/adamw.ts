/** AdamW: the optimizer step of one tensor. */
import source from "../../../kernels/arithmetic/adamw.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { elementKernel } from "../rows/parts.ts";
import { range } from "../shared/parts.ts";
import type { Planned } from "../shared/run_once.ts";
import {
  checkCall,
  checkFinite,
  checkShape,
  checkTensor,
  spreadWorkgroups,
} from "../shared/validation.ts";

/** Arguments of {@linkcode planAdamW}. */
export interface AdamWOptions {
  /** p, changed in place. Any shape. */
  readonly parameter: Tensor;
  /** Of the parameter's shape. */
  readonly gradient: Tensor;
  /** m, changed in place: of the parameter's shape, zeros before the first step. */
  readonly firstMoment: Tensor;
  /** v, changed in place: of the parameter's shape, zeros before the first step. */
  readonly secondMoment: Tensor;
  /**
   * `[3]`: the learning rate, 1 / (1 − β₁ᵗ) and 1 / (1 − β₂ᵗ), with t counted from 1. The caller
   * writes them before every step.
   */
  readonly step: Tensor;
  /**
   * `[2]`, from `planGradientNorm`: the gradients' norm, and the factor that multiplies the
   * gradient.
   */
  readonly clipping: Tensor;
  /** β₁, in [0, 1). */
  readonly beta1: number;
  /** β₂, in [0, 1). */
  readonly beta2: number;
  /**
   * ε, at least 2⁻⁴⁰ (9·10⁻¹³): with a smaller ε, squares that float32 rounds to zero would matter.
   */
  readonly epsilon: number;
  /** λ, at least 0. */
  readonly weightDecay: number;
}

/**
 * The least ε. Squares that float32 rounds to zero do not matter next to it: their roots are at
 * most 1.2·10⁻⁷ ε.
 */
const LEAST_EPSILON = 2 ** -40;

/**
 * Prepares step t of AdamW on one tensor, in place. With g the gradient times the clipping factor,
 * η the learning rate and λ the weight decay: `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`,
 * `p ← p − η λ p − η (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)`.
 *
 * If the norm or the factor in `clipping` is not finite, the step changes nothing. This happens if
 * a gradient that `planGradientNorm` reads has a NaN or an infinity. If |g| exceeds 1.8·10¹⁹,
 * float32 cannot hold g², and p, m and v become NaN.
 *
 * `step` holds the values that change between steps, so one plan serves a whole training.
 *
 * Source: Loshchilov and Hutter, arXiv 1711.05101.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors and settings
 * @returns the plan
 * @throws {TypeError} for wrong types or shapes, or if a tensor that the step changes shares memory
 *   with another one
 * @throws {RangeError} for settings out of range
 *
 * @example
 * ```ts
 * import { openGpu, planAdamW } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const [beta1, beta2] = [0.9, 0.95];
 * const parameter = gpu.tensor([1, 1], [2]);
 * const { plan } = planAdamW(gpu, {
 *   parameter,
 *   gradient: gpu.tensor([3, -0.1], [2]),
 *   firstMoment: gpu.tensor([0, 0], [2]),
 *   secondMoment: gpu.tensor([0, 0], [2]),
 *   step: gpu.tensor([0.01, 1 / (1 - beta1), 1 / (1 - beta2)], [3]),
 *   clipping: gpu.tensor([3, 1], [2]),
 *   beta1,
 *   beta2,
 *   epsilon: 1e-8,
 *   weightDecay: 0,
 * });
 * gpu.run(plan);
 * console.log(await parameter.read()); // 0.99, 1.01: the first step is the learning rate's size
 * ```
 */
export function planAdamW(gpu: Gpu, options: AdamWOptions): Planned<object> {
  const operator = "adamW";
  checkCall(operator, gpu, options);
  const { parameter, gradient, firstMoment, secondMoment, step, clipping } = options;
  checkTensor(gpu, parameter, { operator, name: "parameter" });
  for (const [name, tensor] of Object.entries({ gradient, firstMoment, secondMoment })) {
    checkShape(gpu, tensor, { operator, name, wanted: parameter.shape });
  }
  checkShape(gpu, step, { operator, name: "step", wanted: [3] });
  checkShape(gpu, clipping, { operator, name: "clipping", wanted: [2] });
  const { beta1, beta2, epsilon, weightDecay } = options;
  for (const [name, beta] of Object.entries({ beta1, beta2 })) {
    checkFinite(beta, { operator, name });
    if (!(beta >= 0 && beta < 1)) {
      throw new RangeError(`${operator}: ${name} is ${beta}, wanted a number in [0, 1)`);
    }
  }
  checkFinite(epsilon, { operator, name: "epsilon", minimum: LEAST_EPSILON });
  checkFinite(weightDecay, { operator, name: "weightDecay", minimum: 0 });
  const { kernel, elements } = elementKernel(parameter.length, range, {
    file: "arithmetic/adamw.wgsl",
    source,
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { parameter, gradient, firstMoment, secondMoment, step, clipping },
    // Operations per number: clipping (1), m (3), v (4), the update (6) and p (4). Four tensors are
    // read, three written.
    cost: { flops: 18 * parameter.length, bytes: 28 * parameter.length },
    dispatches: [{
      kernel,
      parameters: [
        { u32: elements },
        { f32: beta1 },
        { f32: beta2 },
        { f32: epsilon },
        { f32: weightDecay },
      ],
      buffers: [step, clipping, gradient, firstMoment, secondMoment, parameter],
      workgroups: spreadWorkgroups(gpu, Math.ceil(elements / 64)),
    }],
  });
  return { plan };
}
