import matmulOperandsSource from "../../kernels/matmul_operands.wgsl" with { type: "text" };
import matmulSource from "../../kernels/matmul.wgsl" with { type: "text" };
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../gpu/pipelines.ts";
import type { Dispatch } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { matmulParameters, type MatmulShape } from "./matmul_shape.ts";
import { spreadWorkgroups } from "./validation.ts";
import type { Variant } from "./variants.ts";

/** A checked call of the matrix product, with its output tensor. */
export interface MatmulCall {
  readonly shape: MatmulShape;
  readonly left: Tensor;
  readonly right: Tensor;
  readonly product: Tensor;
}

/** Rows and columns of the product that one workgroup computes. */
interface TileSize {
  readonly rows: number;
  readonly columns: number;
}

const operands: KernelPart = { file: "matmul_operands.wgsl", source: matmulOperandsSource };

const portableKernel: Kernel = {
  parts: [operands, { file: "matmul.wgsl", source: matmulSource }],
};

// The dispatch of a kernel that reads left and right through matmul_operands.wgsl.
function tileDispatch(
  gpu: Gpu,
  { shape, left, right, product }: MatmulCall,
  { kernel, tile }: { readonly kernel: Kernel; readonly tile: TileSize },
): Dispatch {
  const tiles = shape.batches * Math.ceil(shape.rows / tile.rows) *
    Math.ceil(shape.columns / tile.columns);
  return {
    kernel,
    parameters: matmulParameters(shape),
    buffers: [left.buffer, right.buffer, product.buffer],
    workgroups: spreadWorkgroups(gpu, tiles),
  };
}

const portable: Variant<MatmulShape, MatmulCall> = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan: (gpu, call) => ({
    scratch: [],
    dispatches: [
      tileDispatch(gpu, call, { kernel: portableKernel, tile: { rows: 64, columns: 64 } }),
    ],
  }),
};

/** The kernels of the matrix product, in order of preference. */
export const matmulVariants: readonly Variant<MatmulShape, MatmulCall>[] = [portable];
