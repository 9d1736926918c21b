/** When attention's subgroup kernels run, and with how many rows per workgroup. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { AttentionShape } from "./shape.ts";
import { unfitForSubgroupSize } from "../shared/unfit.ts";

// The most numbers in a workgroup's output. A lane's numbers are separate variables, and many of
// them compile slowly.
const MOST_NUMBERS = 4096;

/**
 * Why attention's subgroup kernels cannot run; undefined if they can. Their workgroup is one
 * subgroup, so its size must be known.
 */
export function unfitSubgroup(gpu: Gpu, shape: AttentionShape, rows: number): string | undefined {
  const without = unfitForSubgroupSize(gpu);
  if (without !== undefined) return without;
  const lanes = gpu.info.subgroupSize!.minimum;
  if (rows % lanes !== 0) return `${rows} rows are no multiple of ${lanes} lanes`;
  const widest = MOST_NUMBERS / rows;
  if (shape.headDim > widest) {
    return `the head dimension is ${shape.headDim}, wanted at most ${widest}`;
  }
  const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
  if (Math.ceil(shape.sequenceLength / rows) > limit) return "the sequence has too many tiles";
  return undefined;
}

/**
 * Whether the subgroup kernel with this many rows per workgroup is a good choice without
 * measurements: on the CPU, but not with four lanes (SwiftShader), which share too few loads. There
 * the barrier-free kernels are faster.
 */
export function suitsSubgroup(gpu: Gpu, shape: AttentionShape, rows: number): boolean {
  return gpu.info.software && rows === suitableRows(shape) && hasWideSubgroups(gpu);
}

/**
 * Whether subgroups are known to have at least eight lanes. Among software drivers this
 * distinguishes lavapipe from SwiftShader, which has four.
 */
export function hasWideSubgroups(gpu: Gpu): boolean {
  return (gpu.info.subgroupSize?.minimum ?? 0) >= 8;
}

/**
 * The rows per workgroup: few enough to compile in less than five seconds, since a row's registers
 * grow with D, and not many more than a short sequence has.
 */
export function suitableRows({ headDim, sequenceLength }: AttentionShape): number {
  return headDim <= 128 && sequenceLength > 48 ? 32 : 16;
}
