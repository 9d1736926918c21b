/**
 * A sum over a workgroup that is one subgroup, for adapters that compute on the CPU. It replaces
 * rows/sum_subgroup.wgsl.
 *
 * It adds the numbers in the order of the lanes. lavapipe's subgroupAdd uses the same order, so the
 * bits agree. But for every lane, subgroupAdd moves the sum out of the vector registers and back.
 * Without these moves, RMSNorm with d 64 takes 13 to 14 % less CPU time.
 */
import { unroll } from "../unroll.ts";

/** Writes the functions that add numbers over a workgroup of this many invocations. */
export function sumLanes(lanes: number): string {
  return `
const LANES: u32 = ${lanes}u;

fn subgroupTotal(summand: f32) -> f32 {
  return ${unroll(lanes, (lane) => `subgroupBroadcast(summand, ${lane}u)`, "\n    + ")};
}

fn rowSum(summand: f32, lane: u32, turn: u32) -> f32 {
  return subgroupTotal(summand);
}
`;
}
