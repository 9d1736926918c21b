/** What a plan consists of: dispatches, their buffers, and the cost of a run. */
import type { Scalar } from "../owner.ts";
import type { MatrixImage } from "./matrix_image.ts";
import type { Kernel } from "../pipelines.ts";
import type { Tensor } from "../tensor.ts";

/**
 * An operation's least arithmetic and memory traffic: it reads each input once and writes each
 * output once. Every throughput figure is one of these two numbers divided by a time.
 */
export interface Cost {
  /** Floating-point operations; a multiply-add counts as two. */
  readonly flops: number;
  /** Bytes read and written. */
  readonly bytes: number;
}

/** A resource to bind: an image for a storage texture, a tensor or buffer for anything else. */
export type Bound = Tensor | GPUBuffer | GPUBufferBinding | MatrixImage;

/** One dispatch of a plan. */
export interface Dispatch {
  /** The kernel to run. */
  readonly kernel: Kernel;
  /**
   * The kernel's uniform parameters at binding 0, in the order of its struct. Empty if the kernel
   * declares no uniform.
   */
  readonly parameters: readonly Scalar[];
  /**
   * The kernel's storage buffers and images, bound from 1 on. A tensor can be a slice that begins
   * anywhere: the plan copies a slice that WebGPU cannot bind.
   */
  readonly buffers: readonly Bound[];
  /** Workgroups in x, y and z. */
  readonly workgroups: readonly [number, number?, number?];
}

/** A copy of a matrix to an image (texture), which later dispatches of the plan can read. */
export interface ImageCopy {
  /** The image to fill. Its layout must have `blocks: false`. */
  readonly image: MatrixImage;
  /** A tensor of the image's shape that begins at a multiple of 16 bytes of its buffer. */
  readonly source: Tensor;
}

/** Tells a copy from a dispatch. */
export function isCopy<Other extends object>(step: Other | ImageCopy): step is ImageCopy {
  return "image" in step;
}

/** The options of `Plan`. */
export interface PlanOptions {
  /** The operator's name, for errors and measurements. */
  readonly operator: string;
  /** The least arithmetic and memory traffic of one run. */
  readonly cost: Cost;
  /**
   * The dispatches, and copies to images, in the order of execution; each sees what earlier ones
   * wrote. `Gpu.run` runs a plan with copies to images, but `Plan.encode` refuses it.
   */
  readonly dispatches: readonly (Dispatch | ImageCopy)[];
  /**
   * Buffers and images that the plan owns. The plan's `dispose()` frees them, and so does the
   * constructor if it throws.
   */
  readonly scratch?: readonly (GPUBuffer | MatrixImage)[];
  /**
   * The operator's arguments and results by name; lists and objects are searched for tensors. If
   * the plan writes one of these tensors, no other one may share its memory. Without this
   * option, only buffers of the same dispatch are compared.
   */
  readonly tensors?: Readonly<Record<string, unknown>>;
}
