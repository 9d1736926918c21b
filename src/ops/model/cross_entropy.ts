/** Cross-entropy of logits and target tokens, forward and backward. */
import backwardSource from "../../../kernels/model/cross_entropy_backward.wgsl" with {
  type: "text",
};
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { crossEntropyForwardVariants } from "./cross_entropy_variants.ts";
import { rowShapeClass } from "../rows/parts.ts";
import { notANumber } from "../shared/parts.ts";
import { type Planned, runOnce } from "../shared/run_once.ts";
import {
  checkCall,
  checkFinite,
  checkIndices,
  checkInteger,
  checkShape,
  emptyTensors,
  outputTensors,
  spreadWorkgroups,
} from "../shared/validation.ts";
import { chooseVariant } from "../shared/variants.ts";

/** Arguments of {@linkcode crossEntropyForward}. */
export interface CrossEntropyForwardOptions {
  /** `[N, V]` */
  readonly logits: Tensor;
  /** `[N]`: integers from 0 to V − 1. */
  readonly targets: Tensor;
  /**
   * The token of the logits' first column, if the logits cover only a slice of the vocabulary. A
   * target may then be any integer from 0 to 2²⁴ − 1; outside the slice, its loss is logSumExp
   * alone. Default: the logits cover the whole vocabulary.
   */
  readonly firstColumn?: number;
  /**
   * The name of one of the operator's variants. Default: the fastest known for this adapter and
   * shape.
   */
  readonly variant?: string;
}

/** Results of {@linkcode crossEntropyForward}. */
export interface CrossEntropyForwardResult {
  /** `[N]`, in nats. */
  readonly loss: Tensor;
  /** `[N]`: the natural logarithm of the sum of e^z over a row's logits z. */
  readonly logSumExp: Tensor;
}

/** Arguments of {@linkcode crossEntropyBackward}. */
export interface CrossEntropyBackwardOptions {
  /** `[N, V]`, as given to the forward. */
  readonly logits: Tensor;
  /** `[N]`, as given to the forward. */
  readonly targets: Tensor;
  /** The forward's logSumExp. */
  readonly logSumExp: Tensor;
  /** The weight of each row's loss in the whole loss; 1/N for the mean. Default: 1. */
  readonly factor?: number;
  /** The forward's `firstColumn`. */
  readonly firstColumn?: number;
  /** The tensor for the gradient, which shares no memory with the inputs. Default: a new one. */
  readonly logitsGradient?: Tensor;
}

/** Results of {@linkcode crossEntropyBackward}. */
export interface CrossEntropyBackwardResult {
  /** `[N, V]` */
  readonly logitsGradient: Tensor;
}

function checkLogits(
  gpu: Gpu,
  operator: string,
  { logits, targets, firstColumn }: CrossEntropyForwardOptions,
): { rows: number; columns: number } {
  if (firstColumn !== undefined) {
    checkInteger(firstColumn, { operator, name: "firstColumn", minimum: 0, maximum: 2 ** 24 - 1 });
  }
  checkShape(gpu, logits, { operator, name: "logits", wanted: ["N", "V"] });
  const [rows, columns] = logits.shape as [number, number];
  checkShape(gpu, targets, { operator, name: "targets", wanted: [rows] });
  const count = firstColumn === undefined ? columns : 2 ** 24;
  checkIndices(targets, { operator, name: "targets", count });
  return { rows, columns };
}

/**
 * Prepares {@linkcode crossEntropyForward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong targets, if the CPU knows them, a wrong firstColumn or variant, or
 *   sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planCrossEntropyForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const logits = gpu.tensor([0, 0, 0, 0], [1, 4]);
 * const { plan, loss } = planCrossEntropyForward(gpu, { logits, targets: gpu.tensor([2], [1]) });
 * gpu.run(plan);
 * console.log(loss.shape, plan.cost.flops);
 * ```
 */
export function planCrossEntropyForward(
  gpu: Gpu,
  options: CrossEntropyForwardOptions,
): Planned<CrossEntropyForwardResult> {
  const operator = "crossEntropyForward";
  checkCall(operator, gpu, options);
  const shape = checkLogits(gpu, operator, options);
  const { logits, targets, firstColumn = 0 } = options;
  const variant = chooseVariant(gpu, crossEntropyForwardVariants, {
    operator,
    shapeClass: rowShapeClass(shape),
    shape,
    wanted: options.variant,
  });
  const outputs = emptyTensors(gpu, operator, { loss: [shape.rows], logSumExp: [shape.rows] });
  const plan = new Plan(gpu, {
    operator,
    tensors: { logits, targets, ...outputs },
    // Per logit: the maximum, a difference, an exponential and a sum.
    cost: { flops: 4 * logits.length, bytes: 4 * (logits.length + 3 * shape.rows) },
    ...variant.plan(gpu, { shape, logits, targets, firstColumn, ...outputs }),
  });
  return { plan, ...outputs };
}

/**
 * Cross-entropy of every row: `loss = log Σ_v e^z_v − z_target`.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `logits` [N, V], `targets` [N], `firstColumn` of a slice of the vocabulary
 * @returns `loss` [N] in nats, `logSumExp` [N]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong targets, if the CPU knows them, a wrong firstColumn or variant, or
 *   sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { crossEntropyForward, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const logits = gpu.tensor([0, 0, 0, 0], [1, 4]);
 * const { loss } = crossEntropyForward(gpu, { logits, targets: gpu.tensor([2], [1]) });
 * console.log(await loss.read()); // log 4
 * ```
 */
export function crossEntropyForward(
  gpu: Gpu,
  options: CrossEntropyForwardOptions,
): CrossEntropyForwardResult {
  return runOnce(gpu, planCrossEntropyForward(gpu, options));
}

/**
 * Prepares {@linkcode crossEntropyBackward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes, or if `logitsGradient` shares memory with an input
 * @throws {RangeError} for wrong targets, if the CPU knows them, a wrong firstColumn or factor, or
 *   sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { crossEntropyForward, openGpu, planCrossEntropyBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const inputs = { logits: gpu.tensor([0, 0], [1, 2]), targets: gpu.tensor([1], [1]) };
 * const { logSumExp } = crossEntropyForward(gpu, inputs);
 * const { plan, logitsGradient } = planCrossEntropyBackward(gpu, { ...inputs, logSumExp });
 * gpu.run(plan);
 * console.log(logitsGradient.shape, plan.cost.flops);
 * ```
 */
export function planCrossEntropyBackward(
  gpu: Gpu,
  options: CrossEntropyBackwardOptions,
): Planned<CrossEntropyBackwardResult> {
  const operator = "crossEntropyBackward";
  checkCall(operator, gpu, options);
  const { rows, columns } = checkLogits(gpu, operator, options);
  const { logits, targets, logSumExp, factor = 1, firstColumn = 0 } = options;
  checkShape(gpu, logSumExp, { operator, name: "logSumExp", wanted: [rows] });
  checkFinite(factor, { operator, name: "factor" });
  const outputs = outputTensors(gpu, operator, {
    shapes: { logitsGradient: logits.shape },
    given: options.logitsGradient === undefined ? {} : { logitsGradient: options.logitsGradient },
    inputs: { logits, targets, logSumExp },
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { logits, targets, logSumExp, ...outputs },
    // Per logit: a difference, an exponential, subtracting the target's 1, and a product.
    cost: { flops: 4 * logits.length, bytes: 4 * (2 * logits.length + 2 * rows) },
    dispatches: [{
      kernel: {
        parts: [notANumber, { file: "model/cross_entropy_backward.wgsl", source: backwardSource }],
      },
      parameters: [{ u32: rows }, { u32: columns }, { f32: factor }, { u32: firstColumn }],
      buffers: [logits, targets, logSumExp, outputs.logitsGradient],
      workgroups: spreadWorkgroups(gpu, Math.ceil(rows * Math.ceil(columns / 4) / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * The gradient of {@linkcode crossEntropyForward}: `∂L/∂z_v = factor (e^(z_v − logSumExp) − [v is
 * the target])`.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `logits` [N, V], `targets` [N], `logSumExp` [N], `factor` (default 1)
 * @returns `logitsGradient` [N, V]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes, or if `logitsGradient` shares memory with an input
 * @throws {RangeError} for wrong targets, if the CPU knows them, a wrong firstColumn or factor, or
 *   sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { crossEntropyBackward, crossEntropyForward, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const inputs = { logits: gpu.tensor([0, 0], [1, 2]), targets: gpu.tensor([1], [1]) };
 * const { logSumExp } = crossEntropyForward(gpu, inputs);
 * const { logitsGradient } = crossEntropyBackward(gpu, { ...inputs, logSumExp });
 * console.log(await logitsGradient.read()); // 0.5, -0.5
 * ```
 */
export function crossEntropyBackward(
  gpu: Gpu,
  options: CrossEntropyBackwardOptions,
): CrossEntropyBackwardResult {
  return runOnce(gpu, planCrossEntropyBackward(gpu, options));
}
