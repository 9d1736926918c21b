/**
 * The matrix product on CPUs with subgroups, variant `subgroup`. It takes about 1,000 lines of code
 * (choice of tiles, cost model, packing and kernel, without tests), and is 2.3 to 5.1 times as fast
 * as `barrier-free` and 5.2 to 10.7 times as fast as `portable`.
 *
 * CPU time of `barrier-free` and of `portable`, each divided by that of `subgroup`, on lavapipe 25,
 * medians of 15 alternating runs, for M × N × K:
 *
 * - 512 × 512 × 512: 3.3 and 6.0
 * - 256 × 768 × 256: 3.0 and 6.1
 * - 333 × 517 × 129: 2.3 and 5.2
 * - 2,048 × 24 × 256: 5.1 and 10.7
 */
import matmulOperandsSource from "../../../kernels/matmul/operands.wgsl" with { type: "text" };
import { matmulSubgroup } from "../../../kernels/matmul/subgroup.wgsl.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { MatrixImage } from "../../gpu/plan/matrix_image.ts";
import type { Kernel } from "../../gpu/pipelines.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { type MatmulOperand, type MatmulReading, type MatmulSide, planOperand } from "./packing.ts";
import { type MatmulCall, matmulParameters } from "./shape.ts";
import { chooseSubgroupTile } from "./subgroup_choice.ts";
import {
  stepsOf,
  storesVectors,
  type SubgroupChoice,
  type SubgroupPart,
  tileCount,
} from "./subgroup_cost.ts";
import { spreadWorkgroups } from "../shared/validation.ts";
import type { VariantPlan } from "../shared/variants.ts";

// The kernel's operands: buffers, or images.
function operandsSource(readings: Readonly<Record<MatmulSide, MatmulReading>>): string {
  let source = matmulOperandsSource;
  for (const [side, alias] of [["left", "Left"], ["right", "Right"]] as const) {
    const { image } = readings[side];
    if (image === undefined) continue;
    const format = image.numbers === "f32" ? "rgba32float" : "rgba32uint";
    source = source.replace(
      `var<storage, read> ${side}: array<${alias}>;`,
      `var ${side}: texture_storage_2d_array<${format}, read>;`,
    );
  }
  return source;
}

function kernelOf(
  { shape, rows, left }: SubgroupChoice,
  part: SubgroupPart,
  { subgroupSize, spare }: { readonly subgroupSize: number; readonly spare: boolean },
): Kernel {
  const { width, grouped, extra, right } = part;
  const storedVectors = storesVectors(shape, part);
  const source = matmulSubgroup({
    subgroupSize,
    rows,
    width,
    grouped,
    extra,
    left: left.load,
    right: right.load,
    leftImage: left.image,
    rightImage: right.image,
    steps: stepsOf({ shape, rows }, part),
    remainder: shape.inner % 4,
    storedVectors,
    spare,
    rowsFirst: right.image !== undefined,
  });
  const alias = ({ load }: MatmulReading) => load === "scalar" ? "f32" : "vec4f";
  return {
    features: ["subgroups"],
    constants: {
      Left: alias(left),
      Right: alias(right),
      Stored: storedVectors ? "vec4f" : "f32",
    },
    parts: [
      { file: "matmul/operands.wgsl", source: operandsSource({ left, right }) },
      { file: "matmul/subgroup.wgsl.ts", source },
    ],
  };
}

/**
 * Plans a product with the subgroup kernel.
 *
 * @param call the call; right can be an image
 * @param copies whether operands may be copied to images, so that only `Gpu.run` can run the plan.
 *   Default: false
 * @param choice tile and loads. Default: the best for the shape
 */
export function planSubgroup(
  gpu: Gpu,
  call: Omit<MatmulCall, "right"> & { readonly right: Tensor | MatrixImage },
  {
    subgroupSize,
    copies = false,
    choice = chooseSubgroupTile(gpu, call.shape, subgroupSize, {
      rightImage: call.right instanceof MatrixImage ? call.right.layout : undefined,
      copies,
    }),
  }: {
    readonly subgroupSize: number;
    readonly copies?: boolean;
    readonly choice?: SubgroupChoice;
  },
): VariantPlan {
  const { shape } = choice;
  const [leftTensor, rightTensor] = shape.storedTransposed
    ? [call.right, call.left]
    : [call.left, call.right];
  const operand = (side: MatmulSide, reading: MatmulReading) =>
    planOperand(gpu, shape, { side, tensor: side === "left" ? leftTensor : rightTensor, reading });
  const left = operand("left", choice.left);
  const dispatches = [...left.dispatches];
  const scratch = [...left.scratch];
  let copy: MatmulOperand | undefined;
  for (const part of choice.parts) {
    const right = part.right.packed && copy !== undefined ? copy : operand("right", part.right);
    if (right !== copy) {
      dispatches.push(...right.dispatches);
      scratch.push(...right.scratch);
    }
    if (part.right.packed) copy = right;
    const tiles = tileCount(subgroupSize, choice, part);
    const [x, y] = spreadWorkgroups(gpu, tiles);
    dispatches.push({
      kernel: kernelOf(choice, part, { subgroupSize, spare: x * y > tiles }),
      parameters: matmulParameters({ ...shape, left: left.strides, right: right.strides }, part),
      buffers: [left.buffer, right.buffer, call.product],
      workgroups: [x, y],
    });
  }
  return { scratch, dispatches };
}
