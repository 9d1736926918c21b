/** The tiles of attention's tiled kernels, and their requirements. */
import { attentionTiledMemory } from "../../../kernels/attention/tiled/memory.ts";
import type { AttentionTiledOptions } from "../../../kernels/attention/tiled/tile.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { AttentionShape } from "./shape.ts";

/** A tile without the head dimension, which comes from the call. */
export type AttentionTile = Omit<AttentionTiledOptions, "headDim">;

/**
 * The tiles that are worth trying on a GPU. A name like `tiled-64x64-4x4` gives the rows × columns
 * of a workgroup, then those of an invocation. Without the second part, an invocation has 8 × 4, or
 * 4 × 4 in tiled-32x32. Larger tiles do more arithmetic per number read. Smaller ones need fewer
 * registers and keep every core busy if there are few rows. The last three tiles are for compilers
 * that give an invocation 64 registers; of these, the very last is for D above 128.
 */
export const attentionTiles: Readonly<Record<string, AttentionTile>> = {
  "tiled-64x32": { down: 8, across: 8, blocksDown: 2, blocksAcross: 1, step: 32 },
  "tiled-64x64": { down: 8, across: 16, blocksDown: 2, blocksAcross: 1, step: 32 },
  "tiled-32x32": { down: 8, across: 8, blocksDown: 1, blocksAcross: 1, step: 32 },
  "tiled-64x64-8x8": { down: 8, across: 8, blocksDown: 2, blocksAcross: 2, step: 32 },
  "tiled-64x64-4x4": { down: 16, across: 16, blocksDown: 1, blocksAcross: 1, step: 32 },
  "tiled-32x64-2x4": { down: 16, across: 16, blocksDown: 1, blocksAcross: 2, side: 2, step: 32 },
  "tiled-16x64-2x2": { down: 8, across: 32, blocksDown: 1, blocksAcross: 1, side: 2, step: 32 },
  "tiled-8x128-2x2": { down: 4, across: 64, blocksDown: 1, blocksAcross: 1, side: 2, step: 32 },
};

/** The same tiles in f16, except those whose `side` is 2. */
export const attentionHalfTiles: Readonly<Record<string, AttentionTile>> = Object.fromEntries(
  Object.entries(attentionTiles)
    .filter(([, { side }]) => side !== 2)
    .map(([name, tile]) => [`${name}-f16`, { ...tile, storage: "f16" }]),
);

/** The most vec4f of one row that an invocation can hold in registers. */
const MOST_CHUNKS = 4;

/** Why a tiled kernel of attention cannot run; undefined if it can. */
export function unfitTiled(
  { device: { limits } }: Pick<Gpu, "device">,
  { headDim, sequenceLength }: AttentionShape,
  tile: AttentionTile,
): string | undefined {
  const invocations = tile.down * tile.across;
  if (invocations > limits.maxComputeInvocationsPerWorkgroup) {
    return `it needs ${invocations} invocations in a workgroup`;
  }
  const memory = attentionTiledMemory({ ...tile, headDim });
  if (memory > limits.maxComputeWorkgroupStorageSize) {
    return `it needs ${memory} bytes of workgroup memory`;
  }
  const most = 4 * tile.across * MOST_CHUNKS;
  if (headDim > most) return `the head dimension is ${headDim}, wanted at most ${most}`;
  return Math.ceil(sequenceLength / tileRows(keyValueTile(tile))) >
      limits.maxComputeWorkgroupsPerDimension
    ? "the sequence has too many tiles"
    : undefined;
}

/** How many query rows, or keys, a tile has. */
export function tileRows({ down, blocksDown, side = 4 }: AttentionTile): number {
  return side * down * blocksDown;
}

/**
 * The tile of the kernels that compute the gradients of keys and values. If one kernel computes
 * both gradients, it needs the most registers, so an invocation gets only one block of rows.
 */
export function keyValueTile(tile: AttentionTile): AttentionTile {
  return { ...tile, blocksDown: 1 };
}
