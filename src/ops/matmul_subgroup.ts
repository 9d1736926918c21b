/** The subgroup kernel of the matrix product: which tile fits a shape, from which side, and how the operands are read. */
import matmulOperandsSource from "../../kernels/matmul_operands.wgsl" with { type: "text" };
import { matmulSubgroup } from "../../kernels/matmul_subgroup.wgsl.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/pipelines.ts";
import {
  directReading,
  type MatmulReading,
  type MatmulSide,
  packedLength,
  packedReading,
  planOperand,
} from "./matmul_packing.ts";
import {
  type ColumnRange,
  exchangeOperands,
  matmulParameters,
  type MatmulShape,
} from "./matmul_shape.ts";
import type { MatmulCall } from "./matmul_variants.ts";
import { spreadWorkgroups } from "./validation.ts";
import type { VariantPlan } from "./variants.ts";

/** How the kernel computes some columns of a product. */
interface Part extends ColumnRange {
  /** Columns of a lane. */
  readonly width: number;
  readonly right: MatmulReading;
}

/** How the kernel computes a product. */
export interface SubgroupChoice {
  /** The product, or its transpose, from exchanged operands. */
  readonly shape: MatmulShape;
  /** Rows of a tile. */
  readonly rows: number;
  readonly left: MatmulReading;
  /** All columns; or whole tiles, and a strip of narrower ones. */
  readonly parts: readonly Part[];
}

// What things cost, in cycles of a subgroup: fitted to lavapipe 25, whose subgroups have eight lanes.
const cost = {
  multiplyAdd: 0.65,
  broadcast: 0.25,
  vectorLoad: 25,
  leftNumberLoad: 12,
  rightNumberLoad: 15,
  step: 31, // of four k, beside its loads and its arithmetic
  store: 29,
  packedVector: 180,
  dispatch: 40_000,
};

// More rows than 32 with four columns a lane do not stay in registers.
const rowsOfTiles = [4, 8, 12, 16, 20, 24, 28, 32];

// SwiftShader, with four lanes, takes more columns a lane.
function widthsFor(subgroupSize: number): readonly number[] {
  return subgroupSize === 4 ? [1, 2, 4, 16] : [1, 2, 3, 4];
}

function tileCount(
  subgroupSize: number,
  { shape, rows }: Pick<SubgroupChoice, "shape" | "rows">,
  { first, end, width }: Part,
): number {
  return shape.batches * Math.ceil(shape.rows / rows) *
    Math.ceil((end - first) / (subgroupSize * width));
}

function partCost(subgroupSize: number, choice: SubgroupChoice, part: Part): number {
  const { shape, rows, left } = choice;
  const { width, right } = part;
  const step = cost.step +
    4 * rows * (width * cost.multiplyAdd + cost.broadcast) +
    Math.ceil(rows / subgroupSize) *
      (left.load === "scalar" ? 4 * cost.leftNumberLoad : cost.vectorLoad) +
    width * (right.load === "scalar" ? 4 * cost.rightNumberLoad : cost.vectorLoad);
  const tile = Math.ceil(shape.inner / 4) * step + rows * width * cost.store;
  return cost.dispatch + tileCount(subgroupSize, choice, part) * tile;
}

function packCost(subgroupSize: number, shape: MatmulShape, side: MatmulSide): number {
  const vectors = packedLength(shape, side) / 4;
  return cost.dispatch + vectors / subgroupSize * cost.packedVector;
}

function totalCost(subgroupSize: number, choice: SubgroupChoice): number {
  const { shape, left, parts } = choice;
  const packed = (left.packed ? packCost(subgroupSize, shape, "left") : 0) +
    (parts.some(({ right }) => right.packed) ? packCost(subgroupSize, shape, "right") : 0);
  return parts.reduce((sum, part) => sum + partCost(subgroupSize, choice, part), packed);
}

// All columns in tiles of one width; or whole tiles, and what is left of them in narrower ones.
function* partitions(
  subgroupSize: number,
  shape: MatmulShape,
  right: MatmulReading,
): Generator<readonly Part[]> {
  const fits = (width: number) => right.load !== "along-outer" || width % 4 === 0;
  // Single columns are read where they lie.
  const direct = directReading(shape, "right");
  const narrow: MatmulReading = direct.load === "along-outer"
    ? { load: "scalar", packed: false }
    : direct;
  const widths = widthsFor(subgroupSize);
  for (const width of widths.filter(fits)) {
    yield [{ first: 0, end: shape.columns, width, right }];
    const tile = subgroupSize * width;
    const end = Math.floor(shape.columns / tile) * tile;
    if (end === 0 || end === shape.columns) continue;
    const strip = widths.find((width) => end + subgroupSize * width >= shape.columns);
    if (strip === undefined || strip >= width) continue;
    yield [
      { first: 0, end, width, right },
      { first: end, end: shape.columns, width: strip, right: narrow },
    ];
  }
}

function readings(gpu: Gpu, shape: MatmulShape, side: MatmulSide): MatmulReading[] {
  return [directReading(shape, side), packedReading(gpu, shape, side)]
    .filter((reading) => reading !== undefined);
}

function* choices(gpu: Gpu, shape: MatmulShape, subgroupSize: number): Generator<SubgroupChoice> {
  for (const turned of [shape, exchangeOperands(shape)]) {
    for (const left of readings(gpu, turned, "left")) {
      for (const right of readings(gpu, turned, "right")) {
        for (const parts of partitions(subgroupSize, turned, right)) {
          for (const rows of rowsOfTiles) yield { shape: turned, rows, left, parts };
        }
      }
    }
  }
}

/**
 * Chooses the tile of the least cost.
 *
 * @param gpu the GPU
 * @param shape the call
 * @param subgroupSize the size of its subgroups
 */
export function chooseSubgroupTile(
  gpu: Gpu,
  shape: MatmulShape,
  subgroupSize: number,
): SubgroupChoice {
  let best: SubgroupChoice | undefined;
  let least = Infinity;
  for (const choice of choices(gpu, shape, subgroupSize)) {
    const total = totalCost(subgroupSize, choice);
    if (total < least) [best, least] = [choice, total];
  }
  return best!;
}

function kernelOf(
  { shape, rows, left }: SubgroupChoice,
  { width, right }: Part,
  { subgroupSize, spare }: { readonly subgroupSize: number; readonly spare: boolean },
): Kernel {
  const storedVectors = !shape.storedTransposed && width % 4 === 0 && shape.columns % 4 === 0;
  const source = matmulSubgroup({
    subgroupSize,
    rows,
    width,
    left: left.load,
    right: right.load,
    remainder: shape.inner % 4 !== 0,
    storedVectors,
    spare,
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
      { file: "matmul_operands.wgsl", source: matmulOperandsSource },
      { file: "matmul_subgroup.wgsl.ts", source },
    ],
  };
}

/**
 * Plans a product by the subgroup kernel.
 *
 * @param gpu the GPU that holds the tensors
 * @param call the call
 * @param subgroupSize the size of its subgroups
 * @param choice how; by default as chosen for the shape
 */
export function planSubgroup(
  gpu: Gpu,
  call: MatmulCall,
  { subgroupSize, choice = chooseSubgroupTile(gpu, call.shape, subgroupSize) }: {
    readonly subgroupSize: number;
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
  for (const part of choice.parts) {
    const right = operand("right", part.right);
    const tiles = tileCount(subgroupSize, choice, part);
    const [x, y] = spreadWorkgroups(gpu, tiles);
    scratch.push(...right.scratch);
    dispatches.push(...right.dispatches, {
      kernel: kernelOf(choice, part, { subgroupSize, spare: x * y > tiles }),
      parameters: matmulParameters({ ...shape, left: left.strides, right: right.strides }, part),
      buffers: [left.buffer, right.buffer, call.product.binding],
      workgroups: [x, y],
    });
  }
  return { scratch, dispatches };
}
