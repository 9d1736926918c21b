/** Dispatches more workgroups than one dimension holds. */
import type { BufferOwner } from "./owner.ts";

/**
 * Spreads a count of workgroups over two dimensions, because one holds only as many as the device
 * allows, usually 65,535. The kernel's index is y * num_workgroups.x + x; it returns early if that
 * is too large.
 *
 * @param gpu the GPU to dispatch on
 * @param count workgroups needed
 */
export function spreadWorkgroups(gpu: BufferOwner, count: number): [number, number] {
  const x = Math.min(count, gpu.device.limits.maxComputeWorkgroupsPerDimension);
  return [x, Math.ceil(count / x)];
}
