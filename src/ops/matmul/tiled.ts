/**
 * The tiled kernels of the matrix product: their tiles, and a GPU's default tile without
 * measurements.
 */
import matmulOperandsSource from "../../../kernels/matmul/operands.wgsl" with { type: "text" };
import {
  type MatmulTile,
  matmulTiled,
  matmulTiledMemory,
} from "../../../kernels/matmul/tiled.wgsl.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel } from "../../gpu/pipelines.ts";
import { gpuBudget } from "../shared/budget.ts";
import { spreadWorkgroups } from "../shared/validation.ts";
import type { Variant } from "../shared/variants.ts";
import { directReading, type MatmulReading, planOperand } from "./packing.ts";
import { type MatmulCall, matmulParameters, type MatmulShape } from "./shape.ts";

/**
 * The tiles that are worth trying on a GPU; each is a variant. An invocation computes 8 × 8 numbers
 * of the product with the first two tiles, 8 × 4 with the third, 4 × 4 with the last two.
 */
export const matmulTiles: Readonly<Record<string, MatmulTile>> = {
  "tiled": { down: 8, across: 8, quadsDown: 2, quadsAcross: 2, step: 16, padding: 1 },
  "tiled-128": { down: 16, across: 16, quadsDown: 2, quadsAcross: 2, step: 8, padding: 1 },
  "tiled-128x64": { down: 16, across: 16, quadsDown: 2, quadsAcross: 1, step: 16, padding: 1 },
  "tiled-64-4x4": { down: 16, across: 16, quadsDown: 1, quadsAcross: 1, step: 16, padding: 1 },
  "tiled-32": { down: 8, across: 8, quadsDown: 1, quadsAcross: 1, step: 16, padding: 1 },
};

function sizeOf({ down, across, quadsDown, quadsAcross }: MatmulTile) {
  return { rows: 4 * down * quadsDown, columns: 4 * across * quadsAcross };
}

/**
 * An invocation's registers besides the product's and the operands' numbers: addresses, and loads
 * in flight.
 */
const OTHER_REGISTERS = 48;

// The registers of an invocation, as compilers reported them. If the loop over k is unrolled,
// Intel's compiler reads the operands for four values of k ahead.
function registersOf({ quadsDown, quadsAcross }: MatmulTile, { vendor }: Gpu["info"]): number {
  const ahead = vendor === "intel" ? 4 : 1;
  return 16 * quadsDown * quadsAcross + 4 * ahead * (quadsDown + quadsAcross) + OTHER_REGISTERS;
}

function fits(tile: MatmulTile, { info }: Gpu): boolean {
  return registersOf(tile, info) <= gpuBudget(info).registers;
}

const SMALL = "tiled-64-4x4";

// The largest tile with which the product still has a tile for every core of a large GPU: 2²²
// numbers are 256 tiles of 128 × 128, 2¹⁹ are 128 tiles of 64 × 64. If the numbers of such a tile
// do not fit an invocation's registers, SMALL.
function bestTile(gpu: Gpu, { batches, rows, columns }: MatmulShape): string {
  const numbers = batches * rows * columns;
  const wanted = numbers >= 2 ** 22
    ? ["tiled-128", "tiled-128x64"]
    : numbers >= 2 ** 19
    ? ["tiled"]
    : ["tiled-32"];
  return wanted.find((name) => fits(matmulTiles[name]!, gpu)) ?? SMALL;
}

// How many of a step's values of k the kernel unrolls together. On a GPU: all of them, or four if
// even the small tile exceeds the GPU's registers. On the CPU: one value, because more values take
// longer to compile and run no faster.
function together(gpu: Gpu, { step }: MatmulTile): number {
  return gpu.info.software ? 1 : fits(matmulTiles[SMALL]!, gpu) ? step : 4;
}

// The kernel reads and stores four numbers at a time if the stored rows of both operands and of the
// product have multiples of four numbers, otherwise one at a time.
function readingsOf(shape: MatmulShape): {
  readonly left: MatmulReading;
  readonly right: MatmulReading;
  readonly storesVectors: boolean;
} {
  const [left, right] = [directReading(shape, "left"), directReading(shape, "right")];
  const scalar: MatmulReading = { load: "scalar", packed: false };
  return left.load === "scalar" || right.load === "scalar" || shape.columns % 4 !== 0
    ? { left: scalar, right: scalar, storesVectors: false }
    : { left, right, storesVectors: true };
}

function kernelOf(gpu: Gpu, tile: MatmulTile, shape: MatmulShape): Kernel {
  const { left, right, storesVectors } = readingsOf(shape);
  const alias = storesVectors ? "vec4f" : "f32";
  return {
    parts: [{ file: "matmul/operands.wgsl", source: matmulOperandsSource }, {
      file: "matmul/tiled.wgsl.ts",
      source: matmulTiled({
        ...tile,
        left: left.load,
        right: right.load,
        storesVectors,
        wholeSteps: shape.inner % tile.step === 0,
        together: together(gpu, tile),
      }),
    }],
    constants: { Left: alias, Right: alias, Stored: alias },
    features: tile.storage === "f16" ? ["f16"] : [],
  };
}

/** Makes the variant of a tile. */
export function tiledVariant(name: string, tile: MatmulTile): Variant<MatmulShape, MatmulCall> {
  const { down, across } = tile;
  const { rows, columns } = sizeOf(tile);
  const memory = matmulTiledMemory(tile);
  return {
    name,
    unfit({ device: { limits, features } }) {
      if (tile.storage === "f16" && !features.has("shader-f16")) return "the adapter has no f16";
      if (down * across > limits.maxComputeInvocationsPerWorkgroup) {
        return `it needs ${down * across} invocations in a workgroup`;
      }
      return memory > limits.maxComputeWorkgroupStorageSize
        ? `it needs ${memory} bytes of workgroup memory`
        : undefined;
    },
    suits: (gpu, shape) => !gpu.info.software && bestTile(gpu, shape) === name,
    plan(gpu, { shape, left: leftTensor, right: rightTensor, product }) {
      const readings = readingsOf(shape);
      const left = planOperand(gpu, shape, {
        side: "left",
        tensor: leftTensor,
        reading: readings.left,
      });
      const right = planOperand(gpu, shape, {
        side: "right",
        tensor: rightTensor,
        reading: readings.right,
      });
      const tiles = shape.batches * Math.ceil(shape.rows / rows) *
        Math.ceil(shape.columns / columns);
      return {
        scratch: [],
        dispatches: [{
          kernel: kernelOf(gpu, tile, shape),
          parameters: matmulParameters({ ...shape, left: left.strides, right: right.strides }),
          buffers: [left.buffer, right.buffer, product],
          workgroups: spreadWorkgroups(gpu, tiles),
        }],
      };
    },
  };
}
