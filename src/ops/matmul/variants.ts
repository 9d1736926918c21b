/**
 * The variants of the matrix product.
 *
 * | variant        | for                    | why                                            |
 * | -------------- | ---------------------- | ---------------------------------------------- |
 * | `subgroup`     | CPU, one subgroup size | lanes share loads; M, N and K choose the tile  |
 * | `barrier-free` | other CPUs             | no subgroups, no barrier; sums in registers    |
 * | `tiled` …      | GPUs                   | tiles in workgroup memory, sums in registers   |
 * | `tiled-f16` …  | GPUs, by name only     | half the memory, for rounded operands          |
 * | `portable`     | everything else        | the readable definition                        |
 */
import matmulOperandsSource from "../../../kernels/matmul/operands.wgsl" with { type: "text" };
import matmulSource from "../../../kernels/matmul/portable.wgsl" with { type: "text" };
import {
  matmulBarrierFree,
  type MatmulBarrierFreeOptions,
} from "../../../kernels/matmul/barrier_free.wgsl.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import { type MatmulCall, matmulParameters, type MatmulShape } from "./shape.ts";
import { matmulTiles, tiledVariant } from "./tiled.ts";
import { planSubgroup } from "./subgroup.ts";
import { unfitForSubgroupSize } from "../shared/unfit.ts";
import { spreadWorkgroups } from "../shared/validation.ts";
import type { Variant, VariantPlan } from "../shared/variants.ts";

interface TileSize {
  readonly rows: number;
  readonly columns: number;
}

const operands: KernelPart = { file: "matmul/operands.wgsl", source: matmulOperandsSource };

const portableKernel: Kernel = {
  parts: [operands, { file: "matmul/portable.wgsl", source: matmulSource }],
};

function tileCount(shape: MatmulShape, tile: TileSize): number {
  return shape.batches * Math.ceil(shape.rows / tile.rows) *
    Math.ceil(shape.columns / tile.columns);
}

// Plans a kernel that reads single numbers, with any strides.
function planScalars(
  gpu: Gpu,
  { shape, left, right, product }: MatmulCall,
  { kernel, tile }: { readonly kernel: Kernel; readonly tile: TileSize },
): VariantPlan {
  return {
    scratch: [],
    dispatches: [{
      kernel,
      parameters: matmulParameters(shape),
      buffers: [left, right, product],
      workgroups: spreadWorkgroups(gpu, tileCount(shape, tile)),
    }],
  };
}

// Whether the tiles cover the product exactly, and every workgroup has a tile.
function isExact(gpu: Gpu, shape: MatmulShape, tile: TileSize): boolean {
  return shape.rows % tile.rows === 0 && shape.columns % tile.columns === 0 &&
    tileCount(shape, tile) <= gpu.device.limits.maxComputeWorkgroupsPerDimension;
}

const portable: Variant<MatmulShape, MatmulCall> = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan: (gpu, call) =>
    planScalars(gpu, call, { kernel: portableKernel, tile: { rows: 64, columns: 64 } }),
};

const subgroupSizes = [4, 8, 16, 32];

const subgroup: Variant<MatmulShape, MatmulCall> = {
  name: "subgroup",
  unfit: (gpu) => unfitForSubgroupSize(gpu, subgroupSizes),
  suits: (gpu) => gpu.info.software,
  plan: (gpu, call) =>
    planSubgroup(gpu, call, { subgroupSize: gpu.info.subgroupSize?.maximum ?? 4 }),
};

// Measured: SwiftShader, whose subgroups have four lanes, compiles fast, and it reads contiguous
// numbers of neighboring lanes at once, so a tile of its own suits it. Lavapipe, with eight lanes,
// does neither.
function barrierFreeTile(gpu: Gpu): Omit<MatmulBarrierFreeOptions, "remainder" | "guarded"> {
  return gpu.info.subgroupSize?.maximum === 4
    ? { lanes: 4, rows: 32, groups: 16, step: 4 }
    : { lanes: 8, rows: 16, groups: 8, step: 1 };
}

const barrierFree: Variant<MatmulShape, MatmulCall> = {
  name: "barrier-free",
  forCpu: true,
  unfit: () => undefined,
  suits: (gpu) => gpu.info.software,
  plan(gpu, call) {
    const best = barrierFreeTile(gpu);
    const columns = best.lanes * best.groups;
    const guarded = !isExact(gpu, call.shape, { rows: best.rows, columns });
    // Fewer rows, because guarded stores compile slowly.
    const options = { ...best, rows: guarded ? 16 : best.rows };
    const tile = { rows: options.rows, columns };
    const remainder = call.shape.inner % options.step !== 0;
    const source = matmulBarrierFree({ ...options, remainder, guarded });
    const kernel = { parts: [operands, { file: "matmul/barrier_free.wgsl.ts", source }] };
    return planScalars(gpu, call, { kernel, tile });
  },
};

/** The variants of the matrix product, in order of preference. */
export const matmulVariants: readonly Variant<MatmulShape, MatmulCall>[] = [
  subgroup,
  barrierFree,
  ...Object.entries(matmulTiles).map(([name, tile]) => tiledVariant(name, tile)),
  portable,
];

/**
 * The variants that round both operands to f16 and add in f32. The rounding halves the workgroup
 * memory and its traffic. A number beyond 65,504 becomes infinite. These variants run only if the
 * caller names them.
 */
export const matmulHalfVariants: readonly Variant<MatmulShape, MatmulCall>[] = Object.entries(
  matmulTiles,
)
  .map(([name, tile]) => tiledVariant(`${name}-f16`, { ...tile, storage: "f16" }));
