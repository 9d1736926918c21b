/** Assembles attention's kernels, both the portable and the unrolled ones. */
import noSinkSource from "../../../kernels/attention/sink/none.wgsl" with { type: "text" };
import sinkSource from "../../../kernels/attention/sink/forward.wgsl" with { type: "text" };
import tileSource from "../../../kernels/attention/tile.wgsl" with { type: "text" };
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import { notANumber } from "../shared/parts.ts";

const tile: KernelPart = { file: "attention/tile.wgsl", source: tileSource };
const sink: KernelPart = { file: "attention/sink/forward.wgsl", source: sinkSource };
const noSink: KernelPart = { file: "attention/sink/none.wgsl", source: noSinkSource };

/**
 * Makes one of the portable kernels that compute in tiles.
 *
 * On a GPU each of a row's 8 lanes keeps its ceil(D / 32) vec4f columns in registers, so each value
 * of ceil(D / 32) needs its own pipeline. On the CPU the columns are in memory anyway, so one
 * pipeline with a rolled loop serves every D up to 256, and compiles in half the time.
 */
export function portableKernel(part: KernelPart, headDim: number, software: boolean): Kernel {
  return {
    parts: [notANumber, tile, part],
    constants: software
      ? { COLUMNS_PER_LANE: 8, ROLLED: true }
      : { COLUMNS_PER_LANE: Math.ceil(headDim / 32), ROLLED: false },
  };
}

export function portableForwardKernel(
  part: KernelPart,
  { headDim, software, hasSink }: {
    readonly headDim: number;
    readonly software: boolean;
    readonly hasSink: boolean;
  },
): Kernel {
  const { parts, ...rest } = portableKernel(part, headDim, software);
  return { ...rest, parts: [hasSink ? sink : noSink, ...parts] };
}

/**
 * Makes one of the kernels that TypeScript unrolls.
 *
 * @param options `hasSink`: whether it is a forward kernel with a learned sink. Default: false
 */
export function unrolledKernel(
  file: string,
  source: string,
  { features = [], hasSink = false }: {
    readonly features?: Kernel["features"];
    readonly hasSink?: boolean;
  } = {},
): Kernel {
  return { parts: [notANumber, ...hasSink ? [sink] : [], { file, source }], features };
}
