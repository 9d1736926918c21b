/** When attention's barrier-free kernels run, and with which tile. */
import type { AttentionBarrierFreeOptions } from "../../../kernels/attention/barrier_free_tile.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { AttentionShape } from "./shape.ts";

/**
 * The tile of attention's barrier-free forward kernel. Of 4 × 16, 8 × 8, 8 × 16 and 16 × 8 (rows ×
 * columns), 8 × 16 is the fastest on lavapipe 25 and SwiftShader at D = 64. Tiles of more than 128
 * numbers spill too often from the CPU's registers.
 */
export const FORWARD_TILE: AttentionBarrierFreeOptions = { lanes: 8, rows: 8, columns: 16 };

/** Query rows per workgroup: the tile's lanes × rows. */
export const BARRIER_FREE_ROWS = 64;

/** Why attention's barrier-free forward kernel cannot run; undefined if it can. */
export function unfitBarrierFree(gpu: Gpu, shape: AttentionShape): string | undefined {
  const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
  const tiles = Math.ceil(shape.sequenceLength / BARRIER_FREE_ROWS);
  return tiles > limit ? "the sequence has too many tiles" : undefined;
}

/**
 * Whether attention's barrier-free kernels are a good choice without measurements: on the CPU, for
 * sequences that are long enough to repay the seconds that SwiftShader takes in every process to
 * compile the backward's kernels. Forward and backward follow the same rule, so that both add up
 * logits in the same order, and the errors of logits and logSumExp cancel in the backward.
 */
export function suitsBarrierFree(gpu: Gpu, { sequenceLength }: AttentionShape): boolean {
  return gpu.info.software && sequenceLength >= 64;
}
