/** How attention's kernels are put together, the portable ones and those that are unrolled. */
import tileSource from "../../../kernels/attention/tile.wgsl" with { type: "text" };
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import { notANumber } from "../shared/parts.ts";

const tile: KernelPart = { file: "attention/tile.wgsl", source: tileSource };

/**
 * One of the portable kernels that compute in tiles.
 *
 * On a GPU each of the 8 lanes of a row keeps its ceil(D / 32) vec4f columns in registers, which
 * takes one pipeline for each such number. On the CPU they end in memory anyway: one pipeline, with
 * a rolled loop, serves every D up to 256, and compiles in half the time.
 *
 * @param part the kernel's file
 * @param headDim D
 * @param software whether the adapter computes on the CPU
 */
export function portableKernel(part: KernelPart, headDim: number, software: boolean): Kernel {
  return {
    parts: [notANumber, tile, part],
    constants: software
      ? { COLUMNS_PER_LANE: 8, ROLLED: true }
      : { COLUMNS_PER_LANE: Math.ceil(headDim / 32), ROLLED: false },
  };
}

/**
 * One of the kernels that TypeScript unrolls.
 *
 * @param file its file
 * @param source WGSL
 * @param features the language features that it uses
 */
export function unrolledKernel(
  file: string,
  source: string,
  features: Kernel["features"] = [],
): Kernel {
  return { parts: [notANumber, { file, source }], features };
}
