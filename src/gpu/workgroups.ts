/** How a count of workgroups is dispatched. */
import type { BufferOwner } from "./owner.ts";

/**
 * Spreads a count of workgroups over two dimensions, since one holds 65,535 at most. The kernel
 * takes y * num_workgroups.x + x and leaves where that is too large.
 *
 * @param gpu the GPU to dispatch on
 * @param count workgroups needed
 */
export function spreadWorkgroups(gpu: BufferOwner, count: number): [number, number] {
  const x = Math.min(count, gpu.device.limits.maxComputeWorkgroupsPerDimension);
  return [x, Math.ceil(count / x)];
}
