/**
 * A small tile for attention's kernels for GPUs: where they are compiled again, it takes less time
 * than a real one.
 */
import { type Gpu, planAttentionBackward, planAttentionForward } from "../../../mod.ts";
import { attentionBackwardKeyTiled } from "../../../kernels/attention/tiled/backward_key.wgsl.ts";
import { attentionBackwardKeyValueTiled } from "../../../kernels/attention/tiled/backward_key_value.wgsl.ts";
import { attentionBackwardQueryTiled } from "../../../kernels/attention/tiled/backward_query.wgsl.ts";
import { attentionBackwardValueTiled } from "../../../kernels/attention/tiled/backward_value.wgsl.ts";
import { attentionForwardTiled } from "../../../kernels/attention/tiled/forward.wgsl.ts";
import type { AttentionTiledOptions } from "../../../kernels/attention/tiled/tile.ts";
import { keyValueTile } from "../../../src/ops/attention/tiled.ts";
import type { Rewrites } from "../forced_kernels.ts";
import { siblingGpu, testGpu } from "../gpu.ts";

/** The files of the kernels. */
export const tiledKernels = {
  forward: "attention/tiled/forward.wgsl.ts",
  query: "attention/tiled/backward_query.wgsl.ts",
  keyValue: "attention/tiled/backward_key_value.wgsl.ts",
  key: "attention/tiled/backward_key.wgsl.ts",
  value: "attention/tiled/backward_value.wgsl.ts",
};

/**
 * Those that run where an invocation holds both gradients of a key, in the order in which they are
 * planned.
 */
export const jointKernels = [tiledKernels.forward, tiledKernels.query, tiledKernels.keyValue];

/** Those that run where each gradient of a key has a kernel of its own. */
export const partedKernels = [
  tiledKernels.forward,
  tiledKernels.query,
  tiledKernels.key,
  tiledKernels.value,
];

/**
 * The variant that is planned with as many rows as the tile has: the one whose kernels it replaces.
 */
export const SMALL_TILE_VARIANT = "tiled-32x32";

/**
 * One vec4f of each row, so that an invocation has none; a step that does not divide D; more than
 * one vector register or warp of invocations, so that barriers matter.
 */
export const smallTile: AttentionTiledOptions = {
  down: 8,
  across: 4,
  blocksDown: 1,
  blocksAcross: 1,
  step: 8,
  headDim: 12,
};

/**
 * Puts a tile in the kernels' place, with a learned sink and a gradient of the first query where the
 * kernels have them.
 *
 * @param tile the tile
 */
export function tiledRewrites(tile: AttentionTiledOptions): Rewrites {
  const ofKeys = { ...tile, ...keyValueTile(tile) };
  return {
    [tiledKernels.forward]: (source) =>
      attentionForwardTiled({ ...tile, sink: source.includes("firstSum(") }),
    [tiledKernels.query]: (source) =>
      attentionBackwardQueryTiled({ ...tile, firstQuery: !source.includes("(NO_WEIGHT)") }),
    [tiledKernels.keyValue]: () => attentionBackwardKeyValueTiled(ofKeys),
    [tiledKernels.key]: () => attentionBackwardKeyTiled(ofKeys),
    [tiledKernels.value]: () => attentionBackwardValueTiled(ofKeys),
  };
}

/** A Gpu on which an invocation holds both gradients of a key: there are registers enough. */
export async function gpuWithRegisters(): Promise<Gpu> {
  return siblingGpu(await testGpu("deno"), { vendor: "nvidia" });
}

/** Plans attention forward and backward as a variant: compiles its kernels, and runs none. */
export function compileVariant(gpu: Gpu, variant: string): void {
  const empty = () => gpu.empty([1, 1, 8, 36]);
  const inputs = { query: empty(), key: empty(), value: empty() };
  const results = { output: empty(), logSumExp: gpu.empty([1, 1, 8]), outputGradient: empty() };
  const plans = [
    planAttentionForward(gpu, { ...inputs, variant }),
    planAttentionBackward(gpu, { ...inputs, ...results, variant }),
  ];
  for (const made of [...plans, inputs, results]) {
    for (const each of Object.values(made)) each.dispose();
  }
}
