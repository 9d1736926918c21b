/** What plans and tensors need of the `Gpu` that owns their memory, so that neither needs the class itself. */
import type { PipelineCache } from "./pipelines.ts";

/** One number of a kernel's uniform parameters. */
export type Scalar = { readonly u32: number } | { readonly f32: number };

/** Owns GPU buffers and turns what the device refuses into errors. `Gpu` is one; its methods say more. */
export interface BufferOwner {
  readonly device: GPUDevice;
  readonly pipelines: PipelineCache;
  readonly disposed: boolean;
  guard<Result>(operator: string, run: () => Result): Result;
  uniform(scalars: readonly Scalar[]): GPUBuffer;
  free(buffer: GPUBuffer): void;
  readBuffer(
    buffer: GPUBuffer,
    range: { readonly offset: number; readonly size: number },
  ): Promise<ArrayBuffer>;
}
