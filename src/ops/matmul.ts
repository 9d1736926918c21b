/** The matrix product, batched, with either operand transposed. */
import type { Gpu } from "../gpu/gpu.ts";
import { Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { checkMatmul, matmulCost, type MatmulOptions, matmulShapeClass } from "./matmul/shape.ts";
import { matmulHalfVariants, matmulVariants } from "./matmul/variants.ts";
import { type Planned, runOnce } from "./shared/run_once.ts";
import { checkCall, outputTensors } from "./shared/validation.ts";
import { chooseVariant } from "./shared/variants.ts";

export type { MatmulOptions } from "./matmul/shape.ts";

/** Results of {@linkcode matmul}. */
export interface MatmulResult {
  /** `[…, M, N]` */
  readonly product: Tensor;
}

/**
 * Prepares {@linkcode matmul} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes, or if `product` shares memory with an operand
 * @throws {RangeError} for a variant that is unknown or cannot run here, or sizes beyond the
 *   adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planMatmul } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const left = gpu.tensor([1, 2, 3, 4], [2, 2]);
 * const right = gpu.tensor([1, 10], [2, 1]);
 * const { plan, product } = planMatmul(gpu, { left, right });
 * gpu.run(plan);
 * console.log(plan.cost.flops, await product.read()); // 8 and 21, 43
 * ```
 */
export function planMatmul(gpu: Gpu, options: MatmulOptions): Planned<MatmulResult> {
  const operator = "matmul";
  checkCall(operator, gpu, options);
  const { shape, productShape } = checkMatmul(gpu, operator, options);
  const { left, right } = options;
  const variant = chooseVariant(gpu, matmulVariants, {
    operator,
    shapeClass: matmulShapeClass(shape),
    shape,
    wanted: options.variant,
    namedOnly: matmulHalfVariants,
  });
  const outputs = outputTensors(gpu, operator, {
    shapes: { product: productShape },
    given: options,
    inputs: { left, right },
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { left, right, ...outputs },
    cost: matmulCost(shape),
    ...variant.plan(gpu, { shape, left, right, ...outputs }),
  });
  return { plan, ...outputs };
}

/**
 * The matrix product `product[…][m][n] = Σ_k left[…](m, k) right[…](k, n)`, batched over equal
 * leading dimensions. Either operand may be stored transposed. A right operand without leading
 * dimensions, such as a weight matrix, is shared by all batches of the left one.
 *
 * Its gradients are matrix products again. If neither operand is transposed and `g` is the
 * product's gradient, the left operand's gradient is `matmul(g, right, transposeRight)`, and the
 * right operand's is `matmul(left, g, transposeLeft)`. The gradient of a shared right operand is
 * also a sum over all batches: to get it, give `left` and `g` with the shapes [B·M, K] and
 * [B·M, N].
 *
 * The same input gives the same bits on one adapter. A NaN or an infinity affects only its own row
 * or column of the product.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `left` [..., M, K] or, with `transposeLeft`, [..., K, M]; `right` [..., K, N] or,
 *   with `transposeRight`, [..., N, K], with the same leading dimensions or none; `variant`
 * @returns `product` [..., M, N]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes, or if `product` shares memory with an operand
 * @throws {RangeError} for a variant that is unknown or cannot run here, or sizes beyond the
 *   adapter's limits
 *
 * @example
 * ```ts
 * import { matmul, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const rows = gpu.tensor([1, 2, 3, 4, 5, 6], [3, 1, 2]); // three batches of one row
 * const weight = gpu.tensor([1, 0, 0, 1, 1, 1], [3, 2]); // shared, stored [N, K]
 * const { product } = matmul(gpu, { left: rows, right: weight, transposeRight: true });
 * console.log(product.shape, await product.read()); // [3, 1, 3]: 1, 2, 3, 3, 4, 7, 5, 6, 11
 * ```
 */
export function matmul(gpu: Gpu, options: MatmulOptions): MatmulResult {
  return runOnce(gpu, planMatmul(gpu, options));
}
