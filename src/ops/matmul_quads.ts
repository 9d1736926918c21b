/** Operands of the matrix product as vec4f: as they lie, or copied to where they can be read so. */
import matmulPadSource from "../../kernels/matmul_pad.wgsl" with { type: "text" };
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/pipelines.ts";
import type { Dispatch, Scalar } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { matmulParameters, type MatmulShape, type MatmulStrides } from "./matmul_shape.ts";
import { spreadWorkgroups } from "./validation.ts";

const padKernel: Kernel = { parts: [{ file: "matmul_pad.wgsl", source: matmulPadSource }] };

/** How the matrices of one operand are stored, and how long they are once they can be read as vec4f. */
interface OperandLayout {
  readonly batches: number;
  /** Of the stored matrix. */
  readonly rows: number;
  /** Of the stored matrix. */
  readonly columns: number;
  readonly alongInner: boolean;
  readonly paddedRows: number;
  readonly paddedColumns: number;
}

function upToFour(length: number): number {
  return 4 * Math.ceil(length / 4);
}

function layout(shape: MatmulShape, side: "left" | "right"): OperandLayout {
  const strides = shape[side];
  const outer = side === "left" ? shape.rows : shape.columns;
  const batches = strides.batch === 0 ? 1 : shape.batches;
  return strides.inner === 1
    ? {
      batches,
      rows: outer,
      columns: shape.inner,
      alongInner: true,
      paddedRows: outer,
      paddedColumns: upToFour(shape.inner),
    }
    : {
      batches,
      rows: shape.inner,
      columns: outer,
      alongInner: false,
      paddedRows: upToFour(shape.inner),
      paddedColumns: upToFour(outer),
    };
}

function paddedBytes({ batches, paddedRows, paddedColumns }: OperandLayout): number {
  return 4 * batches * paddedRows * paddedColumns;
}

function isPadded({ rows, columns, paddedRows, paddedColumns }: OperandLayout): boolean {
  return rows !== paddedRows || columns !== paddedColumns;
}

// A buffer may be larger than what the matrix needs, never smaller; strides count vec4f.
function vectorStrides(
  { batches, paddedRows, paddedColumns, alongInner }: OperandLayout,
  shared: boolean,
): MatmulStrides {
  const vectors = paddedColumns / 4;
  return {
    outer: alongInner ? vectors : 1,
    inner: alongInner ? 1 : vectors,
    batch: shared || batches === 1 ? 0 : paddedRows * vectors,
  };
}

/**
 * Why the operands cannot be read as vec4f here: a padded copy larger than a buffer can be.
 *
 * @param gpu the GPU
 * @param shape the call
 * @returns the reason, or undefined if they can
 */
export function unfitForQuads(gpu: Gpu, shape: MatmulShape): string | undefined {
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.device.limits;
  const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  for (const side of ["left", "right"] as const) {
    const operand = layout(shape, side);
    const bytes = paddedBytes(operand);
    if (isPadded(operand) && bytes > limit) {
      return `a copy of ${side} padded to whole vec4f needs ${bytes} bytes, this adapter allows ${limit}`;
    }
  }
  return undefined;
}

/** Both operands, readable as vec4f. */
export interface MatmulQuads {
  /** Whether each operand is contiguous along K. */
  readonly leftAlongInner: boolean;
  readonly rightAlongInner: boolean;
  /** The uniform parameters of matmul_operands.wgsl for Operand = vec4f. */
  readonly parameters: readonly Scalar[];
  readonly left: GPUBuffer | GPUBufferBinding;
  readonly right: GPUBuffer | GPUBufferBinding;
  /** The copies that come first. */
  readonly dispatches: readonly Dispatch[];
  readonly scratch: readonly GPUBuffer[];
}

/**
 * Makes both operands readable as vec4f. One whose rows are whole vec4f is read as it lies, if K is a multiple of four.
 *
 * @param gpu the GPU that holds the tensors
 * @param shape the call
 * @param operands its tensors
 */
export function planQuads(
  gpu: Gpu,
  shape: MatmulShape,
  operands: { readonly left: Tensor; readonly right: Tensor },
): MatmulQuads {
  const dispatches: Dispatch[] = [];
  const scratch: GPUBuffer[] = [];
  const buffer = (side: "left" | "right"): GPUBuffer | GPUBufferBinding => {
    const operand = layout(shape, side);
    if (!isPadded(operand)) return operands[side].binding;
    const padded = gpu.storage(paddedBytes(operand));
    scratch.push(padded);
    const { batches, rows, columns, paddedRows, paddedColumns, alongInner } = operand;
    const vectors = paddedColumns / 4;
    dispatches.push({
      kernel: padKernel,
      parameters: [batches, rows, columns, paddedRows, vectors, Number(alongInner)]
        .map((u32) => ({ u32 })),
      buffers: [operands[side].binding, padded],
      workgroups: spreadWorkgroups(gpu, Math.ceil(batches * paddedRows * vectors / 64)),
    });
    return padded;
  };
  const left = layout(shape, "left");
  const right = layout(shape, "right");
  return {
    leftAlongInner: left.alongInner,
    rightAlongInner: right.alongInner,
    parameters: matmulParameters({
      ...shape,
      inner: upToFour(shape.inner),
      left: vectorStrides(left, shape.left.batch === 0),
      right: vectorStrides(right, shape.right.batch === 0),
    }),
    left: buffer("left"),
    right: buffer("right"),
    dispatches,
    scratch,
  };
}
