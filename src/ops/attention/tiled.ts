/** The tiles of attention's tiled kernels: which there are, what they need, and which one is chosen. */
import {
  attentionTiledMemory,
  type AttentionTiledOptions,
} from "../../../kernels/attention/tiled/tile.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { AttentionShape } from "./shape.ts";

/** A tile without the head dimension, which the call gives. */
export type AttentionTile = Omit<AttentionTiledOptions, "headDim">;

/**
 * The tiles that are worth trying on a GPU, by rows × columns, of which an invocation holds 8 × 4, 4 × 4 in the smallest;
 * each is a variant. The first fills a GPU's registers at D = 64, the second at D = 128; the third leaves work for every
 * core where there are few rows. In the last one per invocation holds 8 × 8: it reads two numbers of workgroup memory
 * for eight products, where the first reads three, but fewer workgroups have room.
 */
export const attentionTiles: Readonly<Record<string, AttentionTile>> = {
  "tiled-64x32": { down: 8, across: 8, quadsDown: 2, quadsAcross: 1, step: 32 },
  "tiled-64x64": { down: 8, across: 16, quadsDown: 2, quadsAcross: 1, step: 32 },
  "tiled-32x32": { down: 8, across: 8, quadsDown: 1, quadsAcross: 1, step: 32 },
  "tiled-64x64-8x8": { down: 8, across: 8, quadsDown: 2, quadsAcross: 2, step: 32 },
};

/** The same, with tiles in f16. */
export const attentionHalfTiles: Readonly<Record<string, AttentionTile>> = Object.fromEntries(
  Object.entries(attentionTiles)
    .map(([name, tile]) => [`${name}-f16`, { ...tile, storage: "f16" }]),
);

/** Numbers of one row that an invocation can hold in registers. */
const MOST_CHUNKS = 4;

/**
 * Why a tiled kernel of attention cannot run.
 *
 * @param gpu the GPU
 * @param shape the lengths of the call
 * @param tile its tile
 * @returns the reason, or undefined if it can
 */
export function unfitTiled(
  { device: { limits } }: Gpu,
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
  return Math.ceil(sequenceLength / (4 * tile.down)) >
      limits.maxComputeWorkgroupsPerDimension
    ? "the sequence has too many tiles"
    : undefined;
}

/** Rows, over all heads, from which on tiles of 64 rows leave no core of a large GPU without work. */
const MANY_ROWS = 2 ** 15;

/**
 * The tile that is a good choice where nothing was measured.
 *
 * @param rows query rows, or keys, over all heads
 * @param headDim D
 */
export function bestTile(rows: number, headDim: number): string {
  if (rows < MANY_ROWS) return "tiled-32x32";
  return headDim <= 64 ? "tiled-64x32" : "tiled-64x64";
}
