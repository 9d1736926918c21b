/**
 * A small tile for attention's tiled kernels: tests that compile many versions of a kernel compile
 * faster with it than with a real one.
 */
import { type Gpu, planAttentionBackward, planAttentionForward } from "../../../mod.ts";
import { attentionBackwardKeyTiled } from "../../../kernels/attention/tiled/backward_key.wgsl.ts";
import { attentionBackwardKeyValueTiled } from "../../../kernels/attention/tiled/backward_key_value.wgsl.ts";
import { attentionBackwardQueryTiled } from "../../../kernels/attention/tiled/backward_query.wgsl.ts";
import { attentionBackwardValueTiled } from "../../../kernels/attention/tiled/backward_value.wgsl.ts";
import { attentionForwardTiled } from "../../../kernels/attention/tiled/forward.wgsl.ts";
import type { AttentionTiledOptions } from "../../../kernels/attention/tiled/tile.ts";
import { keyValueTile } from "../../../src/ops/attention/tiled.ts";
import { compileOnly } from "../gpu/compile_only.ts";
import type { Rewrites } from "../forced_kernels.ts";
import { siblingGpu, testGpu } from "../gpu.ts";

/** The kernels' files. */
export const tiledKernels = {
  forward: "attention/tiled/forward.wgsl.ts",
  query: "attention/tiled/backward_query.wgsl.ts",
  keyValue: "attention/tiled/backward_key_value.wgsl.ts",
  key: "attention/tiled/backward_key.wgsl.ts",
  value: "attention/tiled/backward_value.wgsl.ts",
};

/**
 * The files of the kernels that are planned, in this order, if one kernel computes both key and
 * value gradients.
 */
export const jointKernels = [tiledKernels.forward, tiledKernels.query, tiledKernels.keyValue];

/** The files of the kernels that are planned if key and value gradients have separate kernels. */
export const partedKernels = [
  tiledKernels.forward,
  tiledKernels.query,
  tiledKernels.key,
  tiledKernels.value,
];

/** A variant whose tile has as many rows as the small tile. Tests replace its kernels. */
export const SMALL_TILE_VARIANT = "tiled-32x32";

/**
 * D = 12 makes three vec4f columns, so one of the four invocations across has no column. D is not a
 * multiple of `step`. The tile has 32 invocations, more than a CPU's vector register has lanes, so
 * a missing barrier shows.
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
 * Replaces the tiled kernels by those of a given tile. The new kernels have a learned sink and a
 * gradient of the first query if the replaced ones have them.
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

/**
 * A `Gpu` that claims to be NVIDIA's. So key and value gradients are computed in one kernel, for
 * which only some vendors' GPUs have enough registers.
 */
export async function gpuWithRegisters(): Promise<Gpu> {
  return siblingGpu(await testGpu("deno"), { vendor: "nvidia" });
}

/** Compiles a variant's kernels of attention forward and backward, and runs none. */
export function compileVariant(gpu: Gpu, variant: string): Promise<void> {
  return compileOnly(gpu, (on, visit) => {
    const empty = () => on.empty([1, 1, 8, 36]);
    const inputs = { query: empty(), key: empty(), value: empty() };
    const results = { output: empty(), logSumExp: on.empty([1, 1, 8]), outputGradient: empty() };
    const plans = [
      planAttentionForward(on, { ...inputs, variant }),
      planAttentionBackward(on, { ...inputs, ...results, variant }),
    ];
    for (const { plan } of plans) visit(plan);
    for (const made of [...plans, inputs, results]) {
      for (const each of Object.values(made)) each.dispose();
    }
  });
}
