/** A small tile for attention's kernels for GPUs: where they are compiled again, it takes less time than a real one. */
import { attentionBackwardKeyValueTiled } from "../../kernels/attention_backward_key_value_tiled.wgsl.ts";
import { attentionBackwardQueryTiled } from "../../kernels/attention_backward_query_tiled.wgsl.ts";
import { attentionForwardTiled } from "../../kernels/attention_forward_tiled.wgsl.ts";
import type { AttentionTiledOptions } from "../../kernels/attention_tiled_tile.ts";
import type { Rewrites } from "./forced_kernels.ts";

/** The files of the kernels, in the order in which they are planned. */
export const tiledKernels = {
  forward: "attention_forward_tiled.wgsl.ts",
  query: "attention_backward_query_tiled.wgsl.ts",
  keyValue: "attention_backward_key_value_tiled.wgsl.ts",
};

/** The variant that is planned with as many rows as the tile has: the one whose kernels it replaces. */
export const SMALL_TILE_VARIANT = "tiled-32x32";

/**
 * Two vec4f columns an invocation, the second one half past the end; a step that D is no multiple of; more than one vector
 * register or warp of invocations, so that barriers matter.
 */
export const smallTile: AttentionTiledOptions = {
  down: 8,
  across: 2,
  quadsDown: 1,
  quadsAcross: 1,
  step: 8,
  headDim: 12,
};

/**
 * Puts a tile in the kernels' place.
 *
 * @param tile the tile
 */
export function tiledRewrites(tile: AttentionTiledOptions): Rewrites {
  return {
    [tiledKernels.forward]: () => attentionForwardTiled(tile),
    [tiledKernels.query]: () => attentionBackwardQueryTiled(tile),
    [tiledKernels.keyValue]: () => attentionBackwardKeyValueTiled(tile),
  };
}
