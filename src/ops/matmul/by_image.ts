/**
 * Matrix products with operands in images (textures). Lavapipe reads images faster than buffers;
 * SwiftShader does not. Weights that are uploaded anyway are written to an image directly. Other
 * operands are copied to an image if the estimated time, copy included, is then shorter.
 *
 * CPU time with an image divided by CPU time with a buffer, on lavapipe 25, for products of 128
 * rows with the weight matrices of SmolLM2-135M (the best of 7 alternating runs):
 *
 * - weights in an image: 0.77 to 0.86 if they are stored [N, K], 0.64 to 0.85 if stored [K, N]
 * - the 128 rows copied to an image, copy included: 0.85 to 0.97
 *
 * With weights in images of bfloat16, a product takes 1.05 to 1.15 times as long as with float32 if
 * they are stored [N, K], and 0.89 to 0.98 times as long if stored [K, N]. Their upload takes half
 * as long. A command that copies to an image takes 0.4 ns per number; a kernel that writes to an
 * image would take 7 ns.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { type ImageLayout, MatrixImage } from "../../gpu/plan/matrix_image.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { type MatmulResult, planMatmul } from "../matmul.ts";
import type { Planned } from "../shared/run_once.ts";
import { unfitForSubgroupSize } from "../shared/unfit.ts";
import { checkCall, outputTensors } from "../shared/validation.ts";
import { chooseVariant } from "../shared/variants.ts";
import { checkMatmul, matmulCost, type MatmulOptions, matmulShapeClass } from "./shape.ts";
import { planSubgroup } from "./subgroup.ts";
import { matmulVariants } from "./variants.ts";

/** Arguments of {@linkcode planImageMatmul}: those of `matmul`, but `right` can be an image. */
export interface ImageMatmulOptions extends Omit<MatmulOptions, "right"> {
  /** `[K, N]`, or `[N, K]` with `transposeRight`. */
  readonly right: RightOperand;
}

// Whether images are faster than buffers here. If subgroups have four lanes, as on SwiftShader,
// images are not faster.
function readsImagesFast(gpu: Gpu): boolean {
  return gpu.info.software && unfitForSubgroupSize(gpu, [8, 16, 32]) === undefined;
}

/**
 * Whether an image can hold a matrix and is faster than a buffer on this adapter.
 *
 * @param gpu the GPU
 * @param shape `[rows, columns]`
 * @param layout how the image holds it. Default: float32 in blocks
 */
export function suitsImage(
  gpu: Gpu,
  shape: readonly [rows: number, columns: number],
  layout?: ImageLayout,
): boolean {
  return readsImagesFast(gpu) && MatrixImage.holds(gpu, shape, layout);
}

/**
 * Prepares a product of a tensor by a tensor or an image. The plan may copy operands to images;
 * then only `Gpu.run` can run it.
 *
 * @param gpu the GPU, whose subgroups must have one size if the right operand is an image
 * @param options the operands
 * @returns the plan and its output tensor `[…, M, N]`
 * @throws {TypeError} for wrong types or shapes, or if `product` shares memory with an operand
 * @throws {RangeError} for a variant that is unknown or cannot run here, a right operand in an
 *   image if the adapter has no subgroups of one size, or sizes beyond the adapter's limits
 */
export function planImageMatmul(gpu: Gpu, options: ImageMatmulOptions): Planned<MatmulResult> {
  const { right } = options;
  if (!(right instanceof MatrixImage) && !copiesPay(gpu, { ...options, right })) {
    return planMatmul(gpu, { ...options, right });
  }
  const operator = "matmul";
  checkCall(operator, gpu, options);
  const { shape, productShape } = checkMatmul(gpu, operator, options);
  const { left } = options;
  const unfit = unfitForSubgroupSize(gpu);
  if (unfit !== undefined) throw new RangeError(`${operator}: an image cannot be read: ${unfit}`);
  const outputs = outputTensors(gpu, operator, {
    shapes: { product: productShape },
    given: options,
    inputs: right instanceof MatrixImage ? { left } : { left, right },
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { left, ...right instanceof MatrixImage ? {} : { right }, ...outputs },
    cost: matmulCost(shape),
    ...planSubgroup(gpu, { shape, left, right, ...outputs }, {
      subgroupSize: gpu.info.subgroupSize!.maximum,
      copies: readsImagesFast(gpu) && [left, right].every(isAligned),
    }),
  });
  return { plan, ...outputs };
}

// Whether the plan may copy operands to images. The adapter must read images fast, and a command
// must be able to copy both operands. The caller must name no variant, and the one chosen for the
// shape must be `subgroup`, which alone reads images.
function copiesPay(gpu: Gpu, options: MatmulOptions): boolean {
  const { left, right, variant } = options;
  if (variant !== undefined || !readsImagesFast(gpu) || ![left, right].every(isAligned)) {
    return false;
  }
  const operator = "matmul";
  const { shape } = checkMatmul(gpu, operator, options);
  const shapeClass = matmulShapeClass(shape);
  return chooseVariant(gpu, matmulVariants, { operator, shapeClass, shape, wanted: undefined })
    .name === "subgroup";
}

// Whether a command can copy the operand to an image: a tensor must begin at a multiple of 16 bytes
// in its buffer. An operand that is an image already needs no copy.
function isAligned(operand: RightOperand): boolean {
  return operand instanceof MatrixImage || operand.region.offset % 16 === 0;
}

export type RightOperand = Tensor | MatrixImage;
