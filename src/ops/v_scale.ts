/** V-scale as a separate operator, forward and backward; attention has a fused form. */
import type { Gpu } from "../gpu/gpu.ts";
import { type Cost, Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { rowShapeClass } from "./rows/parts.ts";
import { type Planned, runOnce } from "./shared/run_once.ts";
import {
  vScaleBackwardVariants,
  vScaleForwardVariants,
  type VScaleShape,
} from "./v_scale/variants.ts";
import {
  checkCall,
  checkPositive,
  checkShape,
  checkWorkgroups,
  elementCount,
  emptyTensors,
  shapeText,
} from "./shared/validation.ts";
import { chooseVariant } from "./shared/variants.ts";

/** Arguments of {@linkcode vScaleForward}. */
export interface VScaleForwardOptions {
  /** `[B, Hkv, T, D]` */
  readonly value: Tensor;
  /** C, one positive number per head: `[Hkv]`. */
  readonly constant: Tensor;
  /**
   * The name of one of the operator's variants. Default: the fastest known for this adapter and
   * shape.
   */
  readonly variant?: string;
}

/** Results of {@linkcode vScaleForward}. */
export interface VScaleForwardResult {
  /** `[B, Hkv, T, D]` */
  readonly scaledValue: Tensor;
}

/** Arguments of {@linkcode vScaleBackward}. */
export interface VScaleBackwardOptions extends VScaleForwardOptions {
  /** The loss's gradient with respect to the scaled value: `[B, Hkv, T, D]`. */
  readonly scaledValueGradient: Tensor;
}

/** Results of {@linkcode vScaleBackward}. */
export interface VScaleBackwardResult {
  /** `[B, Hkv, T, D]` */
  readonly valueGradient: Tensor;
  /** `[Hkv]`, summed over batch and positions. */
  readonly constantGradient: Tensor;
}

function checkValue(
  gpu: Gpu,
  operator: string,
  { value, constant }: VScaleForwardOptions,
): VScaleShape {
  const shape = checkShape(gpu, value, { operator, name: "value", wanted: ["B", "Hkv", "T", "D"] });
  const [batches, keyValueHeads, sequenceLength, headDim] = shape as [
    number,
    number,
    number,
    number,
  ];
  checkShape(gpu, constant, {
    operator,
    name: "constant",
    wanted: [keyValueHeads],
    because: `value is ${shapeText(shape)}`,
  });
  checkPositive(constant.uploaded ?? [], { operator, name: "constant" });
  checkWorkgroups(gpu, keyValueHeads, { operator, name: "Hkv" });
  const rows = batches * keyValueHeads * sequenceLength;
  return { batches, keyValueHeads, sequenceLength, rows, columns: headDim };
}

// Operations per element: two for the squared norm, one for the scaling.
function forwardCost({ value, constant }: VScaleForwardOptions): Cost {
  const elements = elementCount(value.shape);
  return { flops: 3 * elements, bytes: 4 * (2 * elements + constant.length) };
}

// Operations per element: two each for ‖v‖² and ⟨v, u⟩, and three for f u + k v, where the factors
// f = r / (r + C) and k = 2 C / (r + C)² ⟨v, u⟩ are computed once per row.
function backwardCost({ value, constant }: VScaleForwardOptions): Cost {
  const elements = elementCount(value.shape);
  return { flops: 7 * elements, bytes: 4 * (3 * elements + 2 * constant.length) };
}

/**
 * Prepares {@linkcode vScaleForward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a constant that the CPU knows and that is not positive and finite, a
 *   wrong variant, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planVScaleForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const value = gpu.tensor([1, 2], [1, 1, 1, 2]);
 * const constant = gpu.tensor([5], [1]);
 * const { plan, scaledValue } = planVScaleForward(gpu, { value, constant });
 * gpu.run(plan);
 * console.log(await scaledValue.read());
 * ```
 */
export function planVScaleForward(
  gpu: Gpu,
  options: VScaleForwardOptions,
): Planned<VScaleForwardResult> {
  const operator = "vScaleForward";
  checkCall(operator, gpu, options);
  const shape = checkValue(gpu, operator, options);
  const { value, constant } = options;
  const variant = chooseVariant(gpu, vScaleForwardVariants, {
    operator,
    shapeClass: rowShapeClass(shape),
    shape,
    wanted: options.variant,
  });
  const outputs = emptyTensors(gpu, operator, { scaledValue: value.shape });
  const plan = new Plan(gpu, {
    operator,
    tensors: { value, constant, ...outputs },
    cost: forwardCost(options),
    ...variant.plan(gpu, { shape, value, constant, ...outputs }),
  });
  return { plan, ...outputs };
}

/**
 * V-scale: `φ(v) = r/(r + C) v` with `r = ‖v‖²`, for every value row. It acts like a valve that is
 * nearly closed for small values and open for large ones.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `value` [B, Hkv, T, D], `constant` [Hkv], positive
 * @returns `scaledValue` [B, Hkv, T, D]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a constant that the CPU knows and that is not positive and finite, a
 *   wrong variant, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, vScaleForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const value = gpu.tensor([1, 2], [1, 1, 1, 2]); // r = 5
 * const constant = gpu.tensor([5], [1]);
 * const { scaledValue } = vScaleForward(gpu, { value, constant });
 * console.log(await scaledValue.read()); // 0.5, 1
 * ```
 */
export function vScaleForward(gpu: Gpu, options: VScaleForwardOptions): VScaleForwardResult {
  return runOnce(gpu, planVScaleForward(gpu, options));
}

/**
 * Prepares {@linkcode vScaleBackward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a constant that the CPU knows and that is not positive and finite, a
 *   wrong variant, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planVScaleBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const value = gpu.tensor([1, 2], [1, 1, 1, 2]);
 * const constant = gpu.tensor([5], [1]);
 * const options = { value, constant, scaledValueGradient: value };
 * const { plan, valueGradient } = planVScaleBackward(gpu, options);
 * gpu.run(plan);
 * console.log(await valueGradient.read());
 * ```
 */
export function planVScaleBackward(
  gpu: Gpu,
  options: VScaleBackwardOptions,
): Planned<VScaleBackwardResult> {
  const operator = "vScaleBackward";
  checkCall(operator, gpu, options);
  const shape = checkValue(gpu, operator, options);
  const { value, constant, scaledValueGradient } = options;
  checkShape(gpu, scaledValueGradient, {
    operator,
    name: "scaledValueGradient",
    wanted: value.shape,
    because: `value is ${shapeText(value.shape)}`,
  });
  const variant = chooseVariant(gpu, vScaleBackwardVariants, {
    operator,
    shapeClass: rowShapeClass(shape),
    shape,
    wanted: options.variant,
  });
  // Every variant needs a buffer of 8 bytes per row. Check it here, before any buffer is made.
  gpu.checkSize(operator, 8 * shape.rows);
  const outputs = emptyTensors(gpu, operator, {
    valueGradient: value.shape,
    constantGradient: [shape.keyValueHeads],
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { value, constant, scaledValueGradient, ...outputs },
    cost: backwardCost(options),
    ...variant.plan(gpu, { shape, value, constant, scaledValueGradient, ...outputs }),
  });
  return { plan, ...outputs };
}

/**
 * The gradients of {@linkcode vScaleForward}. With `u` the scaledValueGradient, `r = ‖v‖²` and
 * `f = r/(r + C)`: `∂L/∂v = f u + 2C/(r + C)² ⟨v, u⟩ v`, `∂L/∂C = −Σ_s r_s/(r_s + C)² ⟨v_s, u_s⟩`,
 * where s runs over the head's rows in all sequences of the batch.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `value` and `scaledValueGradient` [B, Hkv, T, D], `constant` [Hkv], positive
 * @returns `valueGradient` [B, Hkv, T, D], `constantGradient` [Hkv]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a constant that the CPU knows and that is not positive and finite, a
 *   wrong variant, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, vScaleBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const value = gpu.tensor([1, 2], [1, 1, 1, 2]); // r = 5
 * const constant = gpu.tensor([5], [1]);
 * const scaledValueGradient = gpu.tensor([1, 2], [1, 1, 1, 2]);
 * const options = { value, constant, scaledValueGradient };
 * const { valueGradient, constantGradient } = vScaleBackward(gpu, options);
 * console.log(await valueGradient.read(), await constantGradient.read()); // 1, 2 and -0.25
 * ```
 */
export function vScaleBackward(gpu: Gpu, options: VScaleBackwardOptions): VScaleBackwardResult {
  return runOnce(gpu, planVScaleBackward(gpu, options));
}
