/** The part of `Gpu` that plans and tensors need, so that they do not depend on the whole class. */
import type { PipelineCache } from "./pipelines.ts";

/** One number of a kernel's uniform parameters. */
export type Scalar = { readonly u32: number } | { readonly f32: number };

/** Owns GPU buffers, and turns a device's refusals into errors. {@linkcode Gpu} is one. */
export interface BufferOwner {
  /** The device. */
  readonly device: GPUDevice;
  /** The compiled kernels. */
  readonly pipelines: PipelineCache;
  /** True once everything has been freed. */
  readonly disposed: boolean;
  /** Runs a function that calls the device. If the device refuses, an error names `operator`. */
  guard<Result>(operator: string, run: () => Result): Result;
  /** Makes a storage buffer of this many bytes. */
  storage(size: number): GPUBuffer;
  /** Makes a uniform buffer with these numbers. */
  uniform(scalars: readonly Scalar[]): GPUBuffer;
  /** Makes a texture that kernels can read, with four words of 32 bits per texel. */
  texture(
    size: readonly [width: number, height: number, layers: number],
    format: "rgba32float" | "rgba32uint",
  ): GPUTexture;
  /** Frees a buffer. */
  free(buffer: GPUBuffer): void;
  /** Frees a texture. */
  freeTexture(texture: GPUTexture): void;
  /** Waits for all enqueued work and copies bytes of a buffer to the CPU. */
  readBuffer(
    buffer: GPUBuffer,
    range: { readonly offset: number; readonly size: number },
    into: Uint8Array<ArrayBuffer>,
  ): Promise<ArrayBuffer>;
}
