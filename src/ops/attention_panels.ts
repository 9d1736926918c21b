/** Attention backward in panels: what is computed of how many heads and keys at a time. */
import attentionBackwardPanelsValveSource from "../../kernels/attention_backward_panels_valve.wgsl" with {
  type: "text",
};
import { attentionBackwardPanels } from "../../kernels/attention_backward_panels.wgsl.ts";
import { attentionBackwardPanelsKeyValue } from "../../kernels/attention_backward_panels_key_value.wgsl.ts";
import { attentionBackwardPanelsQuery } from "../../kernels/attention_backward_panels_query.wgsl.ts";
import { PANEL_LANES, PANEL_TILE } from "../../kernels/attention_panels_tile.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/pipelines.ts";
import type { Dispatch, Scalar } from "../gpu/plan.ts";
import type { AttentionBackwardCall } from "./attention_backward_call.ts";
import type { AttentionShape } from "./attention_shape.ts";
import { notANumber } from "./kernels.ts";
import { spreadWorkgroups } from "./validation.ts";
import type { VariantPlan } from "./variants.ts";

/** The keys and heads of which all pairs with a query are held at once. */
export interface PanelChunk {
  /** Key and value heads, counted over the batch. */
  readonly firstHead: number;
  readonly heads: number;
  /** Tiles of keys. */
  readonly firstTile: number;
  readonly tiles: number;
}

/** Tiles of keys times query heads of a chunk: 2 panels of 4 KiB for each token, so that the memory is linear in T. */
const MOST_TILES = 32;
/** Bytes of both panels from which on chunks get smaller, down to a tile of keys of one group. */
const MOST_BYTES = 2 ** 25;

/**
 * Divides the keys of a call into chunks: whole sequences of several heads where they are short, parts of one head's where
 * it is long, of even size.
 *
 * @param shape the lengths of the call
 * @returns the chunks, those of a head in the order of its keys
 */
export function panelChunks(
  { batches, queryHeads, keyValueHeads, sequenceLength }: AttentionShape,
): PanelChunk[] {
  const heads = batches * keyValueHeads;
  const group = queryHeads / keyValueHeads;
  const tiles = Math.ceil(sequenceLength / PANEL_TILE);
  const bytesOfTile = 2 * 4 * PANEL_TILE * PANEL_TILE * tiles * group; // a tile of keys with all queries of a group
  const most = Math.max(
    1,
    Math.min(Math.floor(MOST_TILES / group), Math.floor(MOST_BYTES / bytesOfTile)),
  );
  const parts = Math.ceil(tiles / most);
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

/** Tiles of 32 × 32 pairs from the diagonal down, in a chunk. */
function visibleTiles({ firstTile, tiles }: PanelChunk, tilesOfAll: number): number {
  return tiles * (tilesOfAll - firstTile) - tiles * (tiles - 1) / 2;
}

/**
 * Why attention's panel kernels cannot run.
 *
 * @param gpu the GPU
 * @param shape the lengths of the call
 * @returns the reason, or undefined if they can
 */
export function unfitPanels(gpu: Gpu, shape: AttentionShape): string | undefined {
  const size = gpu.info.subgroupSize;
  if (size === undefined) return "the adapter has no subgroups";
  if (size.minimum !== PANEL_LANES || size.maximum !== PANEL_LANES) {
    return `subgroups have ${size.minimum} to ${size.maximum} lanes, wanted ${PANEL_LANES}`;
  }
  const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
  const tiles = Math.ceil(shape.sequenceLength / PANEL_TILE);
  return panelChunks(shape).some((chunk) => visibleTiles(chunk, tiles) > limit)
    ? "the sequence has too many tiles"
    : undefined;
}

function unrolled(file: string, source: string): Kernel {
  return { parts: [notANumber, { file, source }], features: ["subgroups"] };
}

/**
 * The dispatches of all chunks, and at the end of V-scale's Jacobian.
 *
 * @param gpu the GPU that holds the tensors
 * @param call the attention call
 * @param rows `rowStatistics` (logSumExp, D) of every query row, and `valve` (r, C) of every value row, which V-scale's
 *   last dispatch replaces by (term of dC, 0)
 */
export function planPanels(
  gpu: Gpu,
  call: AttentionBackwardCall,
  { rowStatistics, valve }: { readonly rowStatistics: GPUBuffer; readonly valve: GPUBuffer },
): VariantPlan {
  const { shape, scale, vScale, query, key, value, outputGradient } = call;
  const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
  const vectors = headDim / 4;
  const groupSize = queryHeads / keyValueHeads;
  const tiles = Math.ceil(sequenceLength / PANEL_TILE);
  const chunks = panelChunks(shape);
  const pairs = (chunk: PanelChunk) =>
    chunk.heads * groupSize * chunk.tiles * tiles * PANEL_TILE ** 2;
  const bytes = 4 * Math.max(...chunks.map(pairs));
  const probability = gpu.storage(bytes);
  const logitGradient = gpu.storage(bytes);
  const panels = unrolled("attention_backward_panels.wgsl.ts", attentionBackwardPanels());
  const keyValue = unrolled(
    "attention_backward_panels_key_value.wgsl.ts",
    attentionBackwardPanelsKeyValue(),
  );
  const queries = unrolled(
    "attention_backward_panels_query.wgsl.ts",
    attentionBackwardPanelsQuery(),
  );
  const columns = Math.ceil(headDim / PANEL_TILE);
  const dispatches = chunks.flatMap((chunk): Dispatch[] => {
    const parameters: Scalar[] = [
      { u32: sequenceLength },
      { u32: vectors },
      { u32: groupSize },
      { f32: scale },
      { u32: vScale?.mode === "full" ? 1 : 0 },
      { u32: chunk.firstHead },
      { u32: chunk.firstTile },
      { u32: chunk.tiles },
    ];
    const keys = (panel: GPUBuffer, source: GPUBuffer, gradient: GPUBuffer): Dispatch => ({
      kernel: keyValue,
      parameters,
      buffers: [panel, source, gradient],
      workgroups: [chunk.tiles, columns, chunk.heads],
    });
    return [
      {
        kernel: panels,
        parameters,
        buffers: [
          query.buffer,
          key.buffer,
          value.buffer,
          outputGradient.buffer,
          rowStatistics,
          valve,
          probability,
          logitGradient,
        ],
        workgroups: [visibleTiles(chunk, tiles), chunk.heads * groupSize],
      },
      keys(probability, outputGradient.buffer, call.valueGradient.buffer),
      keys(logitGradient, query.buffer, call.keyGradient.buffer),
      {
        kernel: queries,
        parameters,
        buffers: [logitGradient, key.buffer, call.queryGradient.buffer],
        workgroups: [tiles - chunk.firstTile, columns, chunk.heads * groupSize],
      },
    ];
  });
  const rows = batches * keyValueHeads * sequenceLength;
  const throughValve: Dispatch = {
    kernel: {
      parts: [{
        file: "attention_backward_panels_valve.wgsl",
        source: attentionBackwardPanelsValveSource,
      }],
    },
    parameters: [{ u32: rows }, { u32: vectors }],
    buffers: [value.buffer, valve, call.valueGradient.buffer],
    workgroups: spreadWorkgroups(gpu, Math.ceil(rows / 64)),
  };
  return {
    scratch: [probability, logitGradient],
    dispatches: [...dispatches, ...vScale === undefined ? [] : [throughValve]],
  };
}
