/** Workgroup counts for dispatches that need more workgroups than one dimension allows. */
import type { BufferOwner } from "./owner.ts";

/**
 * Spreads workgroups over two dimensions, because one holds only as many as the device allows,
 * usually 65,535. The kernel numbers its workgroups by y * num_workgroups.x + x; those from `count`
 * on must return early.
 *
 * @param gpu the GPU to dispatch on
 * @param count how many workgroups the kernel needs
 */
export function spreadWorkgroups(gpu: BufferOwner, count: number): [number, number] {
  const x = Math.min(count, gpu.device.limits.maxComputeWorkgroupsPerDimension);
  return [x, Math.ceil(count / x)];
}
