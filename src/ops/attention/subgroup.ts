/** When attention's subgroup kernels run, and with how many rows per workgroup. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { AttentionShape } from "./shape.ts";
import { unfitForSubgroupSize } from "../shared/unfit.ts";

// The most numbers of a workgroup's output. A lane's numbers are separate variables, and many of
// them take long to compile.
const MOST_NUMBERS = 4096;

/**
 * Why attention's subgroup kernels cannot run: they take one subgroup as a workgroup, so that its
 * size must be known.
 *
 * @param gpu the GPU
 * @param shape the lengths of the call
 * @param rows rows of a workgroup
 * @returns the reason, or undefined if they can
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
 * Whether attention's subgroup kernels are a good choice where nothing was measured: on the CPU.
 * Four lanes (SwiftShader) share too little: the barrier-free kernels are faster there.
 *
 * @param gpu the GPU
 * @param shape the lengths of the call
 * @param rows rows of a workgroup
 */
export function suitsSubgroup(gpu: Gpu, shape: AttentionShape, rows: number): boolean {
  return gpu.info.software && rows === suitableRows(shape) && hasWideSubgroups(gpu);
}

/**
 * Whether subgroups are known to have eight lanes or more. Among drivers that compute on the CPU it
 * tells lavapipe from SwiftShader, which has four.
 *
 * @param gpu the GPU
 */
export function hasWideSubgroups(gpu: Gpu): boolean {
  return (gpu.info.subgroupSize?.minimum ?? 0) >= 8;
}

/**
 * Rows of a workgroup that compile in less than five seconds, for the registers of a row grow with
 * D; and not many more than a short sequence has.
 */
export function suitableRows({ headDim, sequenceLength }: AttentionShape): number {
  return headDim <= 128 && sequenceLength > 48 ? 32 : 16;
}
