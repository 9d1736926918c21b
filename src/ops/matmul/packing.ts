/**
 * How a kernel of the matrix product reads an operand: directly, from a packed copy (four numbers
 * at a time), or from a copy in an image (texture).
 */
import matmulPackSource from "../../../kernels/matmul/pack.wgsl" with { type: "text" };
import type { MatmulLoad } from "../../../kernels/matmul/subgroup_tile.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { type ImageLayout, MatrixImage } from "../../gpu/plan/matrix_image.ts";
import type { Kernel } from "../../gpu/pipelines.ts";
import type { Dispatch, ImageCopy } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { MatmulShape, MatmulStrides } from "./shape.ts";
import { unfitForStorage } from "../shared/unfit.ts";

const packKernel: Kernel = { parts: [{ file: "matmul/pack.wgsl", source: matmulPackSource }] };

/** The left or the right operand. */
export type MatmulSide = "left" | "right";

/** A way of reading an operand. */
export interface MatmulReading {
  readonly load: MatmulLoad;
  /** Whether the operand is copied first. */
  readonly packed: boolean;
  /** The layout of the image that holds the operand or its copy; undefined if a buffer holds it. */
  readonly image?: ImageLayout;
}

function outerLength(shape: MatmulShape, side: MatmulSide): number {
  return side === "left" ? shape.rows : shape.columns;
}

function storedBatches(shape: MatmulShape, side: MatmulSide): number {
  return shape[side].batch === 0 ? 1 : shape.batches;
}

/** The length of an operand's packed copy, in numbers. */
export function packedLength(shape: MatmulShape, side: MatmulSide): number {
  const vectors = Math.ceil(outerLength(shape, side) / 4);
  return 4 * storedBatches(shape, side) * shape.inner * vectors;
}

/**
 * The best way to read an operand without a copy: four numbers at a time if its stored rows have a
 * multiple of four numbers, otherwise one at a time.
 */
export function directReading(shape: MatmulShape, side: MatmulSide): MatmulReading {
  const alongInner = shape[side].inner === 1;
  const contiguous = alongInner ? shape.inner : outerLength(shape, side);
  if (contiguous % 4 !== 0) return { load: "scalar", packed: false };
  return { load: alongInner ? "along-inner" : "along-outer", packed: false };
}

function packingWorkgroups(shape: MatmulShape, side: MatmulSide): [number, number, number] {
  const vectors = Math.ceil(outerLength(shape, side) / 4);
  return [Math.ceil(vectors / 16), Math.ceil(shape.inner / 4), storedBatches(shape, side)];
}

/**
 * The way to read an operand's packed copy; undefined if a buffer or dispatch would exceed the
 * adapter's limits.
 */
export function packedReading(
  gpu: Gpu,
  shape: MatmulShape,
  side: MatmulSide,
): MatmulReading | undefined {
  const { maxComputeWorkgroupsPerDimension } = gpu.device.limits;
  return unfitForStorage(gpu, 4 * packedLength(shape, side)) !== undefined ||
      packingWorkgroups(shape, side).some((count) => count > maxComputeWorkgroupsPerDimension)
    ? undefined
    : { load: "along-outer", packed: true };
}

/** The shape of an operand as it is stored, as one matrix: the batches lie below each other. */
function storedShape(shape: MatmulShape, side: MatmulSide): [rows: number, columns: number] {
  const outer = outerLength(shape, side);
  const [rows, columns] = shape[side].inner === 1 ? [outer, shape.inner] : [shape.inner, outer];
  return [storedBatches(shape, side) * rows, columns];
}

// The most numbers in a stored row of an operand that is copied to an image, if left is stored
// transposed. The kernel then reads the operand in strides of one stored row. Measured: if the rows
// are longer, the reads of an image miss the caches.
const LONGEST_STRIDE = 128;

/**
 * How to read an operand from a copy in an image (texture). Undefined if no image can hold it,
 * or if its numbers could only be read one by one. Also undefined if the kernel would read in long
 * strides, which is slower from images than from buffers.
 */
export function imageReading(
  gpu: Gpu,
  shape: MatmulShape,
  side: MatmulSide,
): MatmulReading | undefined {
  const { load } = directReading(shape, side);
  const image: ImageLayout = { numbers: "f32", blocks: false };
  const stored = storedShape(shape, side);
  const slow = load === "scalar" || shape.left.inner !== 1 && stored[1] > LONGEST_STRIDE;
  return !slow && MatrixImage.holds(gpu, stored, image) ? { load, packed: true, image } : undefined;
}

/** An operand that a kernel can read. */
export interface MatmulOperand {
  /** The strides in numbers, or in vec4f if the kernel reads four numbers at a time. */
  readonly strides: MatmulStrides;
  readonly buffer: Tensor | GPUBuffer | MatrixImage;
  /** Makes the copy that the kernel reads. Empty if the kernel reads the operand itself. */
  readonly dispatches: readonly (Dispatch | ImageCopy)[];
  readonly scratch: readonly (GPUBuffer | MatrixImage)[];
}

// Strides in vec4f. If `inner` and `outer` are both 1, the operand has one row of left or column of
// right, so the kernel never moves by `outer`, and its value does not matter.
function inVectors({ outer, inner, batch }: MatmulStrides): MatmulStrides {
  return inner === 1
    ? { outer: outer / 4, inner, batch: batch / 4 }
    : { outer, inner: inner / 4, batch: batch / 4 };
}

export function planOperand(
  gpu: Gpu,
  shape: MatmulShape,
  { side, tensor, reading }: {
    readonly side: MatmulSide;
    readonly tensor: Tensor | MatrixImage;
    readonly reading: MatmulReading;
  },
): MatmulOperand {
  const strides = shape[side];
  if (!reading.packed) {
    return {
      strides: reading.load === "scalar" ? strides : inVectors(strides),
      buffer: tensor,
      dispatches: [],
      scratch: [],
    };
  }
  if (reading.image !== undefined) {
    const image = new MatrixImage(gpu, storedShape(shape, side), reading.image);
    const source = tensor as Tensor;
    return {
      strides: inVectors(strides),
      buffer: image,
      dispatches: [{ image, source }],
      scratch: [image],
    };
  }
  const outer = outerLength(shape, side);
  const vectors = Math.ceil(outer / 4);
  const packed = gpu.storage(4 * packedLength(shape, side));
  return {
    strides: { outer: 1, inner: vectors, batch: strides.batch === 0 ? 0 : shape.inner * vectors },
    buffer: packed,
    dispatches: [{
      kernel: packKernel,
      parameters: [shape.inner, outer, strides.inner, strides.outer]
        .map((u32) => ({ u32 })),
      buffers: [tensor, packed],
      workgroups: packingWorkgroups(shape, side),
    }],
    scratch: [packed],
  };
}
