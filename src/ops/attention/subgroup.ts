/** When attention's subgroup kernels run, and with how many rows per workgroup. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { AttentionShape } from "./shape.ts";
import { unfitForSubgroupSize } from "../shared/unfit.ts";

// The most numbers in a workgroup's output. A lane keeps its part of them in separate variables,
// and a kernel with many variables compiles slowly.
const MOST_NUMBERS = 4096;

/**
 * Why attention's subgroup kernels cannot run; undefined if they can. A workgroup is one subgroup,
 * so the size of subgroups must be known.
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
 * Whether the subgroup kernel with `rows` rows per workgroup is a good choice without measurements:
 * on the CPU, if `rows` is `suitableRows` and a subgroup has at least eight lanes. On SwiftShader a
 * subgroup has four. So few lanes share too few loads, and the barrier-free kernels are faster.
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
 * The rows per workgroup that suit a shape. The larger D is, the more registers a row needs. So
 * with a large D a workgroup gets few rows, and the kernel compiles in less than five seconds. With
 * a short sequence it also gets few rows, because the sequence cannot fill more.
 */
export function suitableRows({ headDim, sequenceLength }: AttentionShape): number {
  return headDim <= 128 && sequenceLength > 48 ? 32 : 16;
}
