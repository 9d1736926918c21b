/**
 * Plans attention backward in panels: divides a call into chunks of heads and keys, and plans the
 * dispatches of every chunk.
 */
import type { PanelTile } from "../../../kernels/attention/panels/panel.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel } from "../../gpu/pipelines.ts";
import type { Scalar } from "../../gpu/owner.ts";
import type { Dispatch } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { AttentionBackwardCall } from "./call.ts";
import type { AttentionShape } from "./shape.ts";
import { throughValve } from "./valve.ts";
import { unfitForStorage } from "../shared/unfit.ts";
import type { VariantPlan } from "../shared/variants.ts";

/** The kernels for panels, and their tiles. */
export interface PanelKernels {
  readonly tile: PanelTile;
  /** How many columns of a gradient a workgroup computes. */
  readonly columns: number;
  /** Writes the panels of probabilities P and logit gradients dS. */
  readonly panels: Kernel;
  /** Sums the gradient of keys, or of values. */
  readonly keyValue: Kernel;
  /** Sums the gradient of queries. */
  readonly query: Kernel;
}

/**
 * A part of a call: some key heads, and some tiles of their keys. Each panel holds a whole chunk at
 * once: one number for each pair of a query and a key of the chunk.
 */
export interface PanelChunk {
  /** The first key and value head, counted over the batch. */
  readonly firstHead: number;
  readonly heads: number;
  /** The first tile of keys. */
  readonly firstTile: number;
  readonly tiles: number;
}

/**
 * The limit for a chunk's keys per head times its query heads. It bounds a panel to 1024 numbers,
 * 4 KiB, for each query position, so memory stays linear in T. Only a chunk with a single tile of
 * keys may exceed it.
 */
const MOST_KEYS = 1024;
/**
 * The limit for the bytes of a chunk's two panels together: 32 MiB. Only a single tile of one
 * head's keys may exceed it.
 */
const MOST_BYTES = 2 ** 25;

/**
 * Divides the keys of a call into chunks of even size: whole sequences of several heads if they are
 * short, otherwise parts of one head's sequence.
 *
 * @returns the chunks; a head's chunks are in the order of its keys
 */
export function panelChunks(
  { batches, queryHeads, keyValueHeads, sequenceLength }: AttentionShape,
  { rows, keys }: PanelTile,
): PanelChunk[] {
  const heads = batches * keyValueHeads;
  const group = queryHeads / keyValueHeads;
  const tiles = Math.ceil(sequenceLength / keys);
  // The bytes that one tile of one head's keys takes in both panels together. A panel holds all
  // queries of the query heads that share the key head.
  const bytes = 2 * 4 * keys * Math.ceil(sequenceLength / rows) * rows * group;
  const most = Math.floor(Math.min(MOST_KEYS / (keys * group), MOST_BYTES / bytes));
  const parts = Math.ceil(tiles / Math.max(1, most));
  const tilesOfPart = Math.ceil(tiles / parts);
  const headsOfPart = Math.max(1, Math.floor(most / tiles));
  const chunks: PanelChunk[] = [];
  for (let firstHead = 0; firstHead < heads; firstHead += headsOfPart) {
    for (let firstTile = 0; firstTile < tiles; firstTile += tilesOfPart) {
      chunks.push({
        firstHead,
        heads: Math.min(headsOfPart, heads - firstHead),
        firstTile,
        tiles: Math.min(tilesOfPart, tiles - firstTile),
      });
    }
  }
  return chunks;
}

// The number of panel tiles on or below the causal diagonal, for one query head of a chunk. `rows`
// is the number of tiles along all queries, `ratio` a tile's keys divided by its queries.
function visibleTiles({ firstTile, tiles }: PanelChunk, rows: number, ratio: number): number {
  return tiles * (rows - firstTile * ratio) - ratio * tiles * (tiles - 1) / 2;
}

/** Why attention's panel kernels cannot run with a tile; undefined if they can. */
export function unfitPanels(gpu: Gpu, shape: AttentionShape, tile: PanelTile): string | undefined {
  const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
  const rows = Math.ceil(shape.sequenceLength / tile.rows);
  const ratio = tile.keys / tile.rows;
  const chunks = panelChunks(shape, tile);
  return chunks.some((chunk) =>
      visibleTiles(chunk, rows, ratio) > limit ||
      chunk.heads * shape.queryHeads / shape.keyValueHeads > limit
    )
    ? "the sequence has too many tiles"
    : unfitForStorage(gpu, panelBytes(shape, tile, chunks[0]!));
}

// The bytes of one panel of the first chunk. No other chunk is larger.
function panelBytes(shape: AttentionShape, tile: PanelTile, first: PanelChunk): number {
  const rows = Math.ceil(shape.sequenceLength / tile.rows) * tile.rows;
  const group = shape.queryHeads / shape.keyValueHeads;
  return 4 * first.heads * group * first.tiles * tile.keys * rows;
}

/**
 * Plans the dispatches of all chunks. With V-scale, one more dispatch at the end applies V-scale's
 * Jacobian.
 *
 * @param options the kernels; `rowStatistics` of every query row, as `planRows` writes them; and
 *   `valve`, (r = ‖v‖², C) of every value row v, which V-scale's dispatch overwrites with (term of
 *   dC, 0)
 */
export function planPanels(
  gpu: Gpu,
  call: AttentionBackwardCall,
  { kernels, rowStatistics, valve }: {
    readonly kernels: PanelKernels;
    readonly rowStatistics: GPUBuffer;
    readonly valve: GPUBuffer;
  },
): VariantPlan {
  const { shape, scale, vScale, query, key, value, outputGradient } = call;
  const { queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
  const groupSize = queryHeads / keyValueHeads;
  const { tile } = kernels;
  const rowTiles = Math.ceil(sequenceLength / tile.rows);
  const ratio = tile.keys / tile.rows;
  const chunks = panelChunks(shape, tile);
  const bytes = panelBytes(shape, tile, chunks[0]!);
  const probability = gpu.storage(bytes);
  const logitGradient = gpu.storage(bytes);
  const columns = Math.ceil(headDim / kernels.columns);
  const dispatches = chunks.flatMap((chunk): Dispatch[] => {
    const parameters: Scalar[] = [
      { u32: sequenceLength },
      { u32: headDim },
      { u32: groupSize },
      { f32: scale },
      { u32: vScale?.mode === "full" ? 1 : 0 },
      { u32: chunk.firstHead },
      { u32: chunk.firstTile },
      { u32: chunk.tiles },
    ];
    const rowsBelow = rowTiles - chunk.firstTile * ratio;
    const keys = (panel: GPUBuffer, source: Tensor, gradient: Tensor): Dispatch => ({
      kernel: kernels.keyValue,
      parameters,
      buffers: [panel, source, gradient],
      workgroups: [Math.min(chunk.tiles * ratio, rowsBelow), columns, chunk.heads],
    });
    return [
      {
        kernel: kernels.panels,
        parameters,
        buffers: [
          query,
          key,
          value,
          outputGradient,
          rowStatistics,
          valve,
          probability,
          logitGradient,
        ],
        workgroups: [visibleTiles(chunk, rowTiles, ratio), chunk.heads * groupSize],
      },
      keys(probability, outputGradient, call.valueGradient),
      keys(logitGradient, query, call.keyGradient),
      {
        kernel: kernels.query,
        parameters,
        buffers: [logitGradient, key, call.queryGradient],
        workgroups: [rowsBelow, columns, chunk.heads * groupSize],
      },
    ];
  });
  return {
    scratch: [probability, logitGradient],
    dispatches: [
      ...dispatches,
      ...vScale === undefined ? [] : [throughValve(gpu, shape, { ...call, valve })],
    ],
  };
}
