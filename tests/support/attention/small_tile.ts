/** A small tile for attention's kernels for GPUs: where they are compiled again, it takes less time than a real one. */
import { attentionBackwardKeyValueTiled } from "../../../kernels/attention/tiled/backward_key_value.wgsl.ts";
import { attentionBackwardQueryTiled } from "../../../kernels/attention/tiled/backward_query.wgsl.ts";
import { attentionForwardTiled } from "../../../kernels/attention/tiled/forward.wgsl.ts";
import type { AttentionTiledOptions } from "../../../kernels/attention/tiled/tile.ts";
import type { Rewrites } from "../forced_kernels.ts";

/** The files of the kernels, in the order in which they are planned. */
export const tiledKernels = {
  forward: "attention/tiled/forward.wgsl.ts",
  query: "attention/tiled/backward_query.wgsl.ts",
  keyValue: "attention/tiled/backward_key_value.wgsl.ts",
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
