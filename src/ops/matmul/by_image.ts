/**
 * The matrix product with a right operand in an image (a texture), for weights that are uploaded
 * anyway.
 *
 * CPU time with an image relative to a buffer, on lavapipe 25, for 128 rows by the matrices of
 * SmolLM2-135M (the best of 7 alternating runs): 0.77 to 0.86 if K is contiguous, 0.64 to 0.85 if N
 * is. Copying a right operand to an image first does not pay: kernels write images at 7 ns per
 * number.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { MatrixImage } from "../../gpu/plan/matrix_image.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { MatmulResult } from "../matmul.ts";
import type { Planned } from "../shared/run_once.ts";
import { unfitForSubgroupSize } from "../shared/unfit.ts";
import { checkCall, outputTensors } from "../shared/validation.ts";
import { checkMatmul, matmulCost, type MatmulOptions } from "./shape.ts";
import { planSubgroup } from "./subgroup.ts";

/** Arguments of {@linkcode planImageMatmul}. */
export interface ImageMatmulOptions extends Pick<MatmulOptions, "left" | "transposeRight"> {
  /** `[K, N]`, or `[N, K]` with `transposeRight`. */
  readonly right: MatrixImage;
}

/**
 * Whether an image can hold a matrix and is faster than a buffer on this adapter. With four lanes,
 * as on SwiftShader, it is not faster.
 *
 * @param gpu the GPU
 * @param shape `[rows, columns]`
 */
export function suitsImage(gpu: Gpu, shape: readonly [rows: number, columns: number]): boolean {
  return gpu.info.software && unfitForSubgroupSize(gpu, [8, 16, 32]) === undefined &&
    MatrixImage.holds(gpu, shape);
}

/**
 * Prepares a product of a tensor by an image.
 *
 * @param gpu the GPU, with subgroups of one size
 * @param options the operands
 * @returns the plan and its output tensor `[…, M, N]`
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} if the adapter has no subgroups of one size, or a tensor exceeds its limits
 */
export function planImageMatmul(gpu: Gpu, options: ImageMatmulOptions): Planned<MatmulResult> {
  const operator = "matmul";
  checkCall(operator, gpu, options);
  const { shape, productShape } = checkMatmul(gpu, operator, options);
  const { left, right } = options;
  const unfit = unfitForSubgroupSize(gpu);
  if (unfit !== undefined) throw new RangeError(`${operator}: an image cannot be read: ${unfit}`);
  const outputs = outputTensors(gpu, operator, {
    shapes: { product: productShape },
    given: {},
    inputs: { left },
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { left, ...outputs },
    cost: matmulCost(shape),
    ...planSubgroup(gpu, { shape, left, right, ...outputs }, {
      subgroupSize: gpu.info.subgroupSize!.maximum,
    }),
  });
  return { plan, ...outputs };
}

/** A right operand, in a tensor or an image. */
export type RightOperand = Tensor | MatrixImage;
