/**
 * Checks that several operators share. Each returns why an adapter cannot run a variant, or
 * undefined if it can.
 */
import type { Gpu } from "../../gpu/gpu.ts";

/** Why an adapter cannot run kernels that use subgroups, whatever size the subgroups have. */
export function unfitForSubgroups({ info }: Gpu): string | undefined {
  return info.features.includes("subgroups") && info.subgroupSize !== undefined
    ? undefined
    : "this adapter has no subgroups";
}

/**
 * Why an adapter cannot run kernels whose workgroup is one subgroup. Such kernels need an
 * adapter whose subgroups all have one known size.
 *
 * @param sizes the subgroup sizes that the kernels support. Default: any
 */
export function unfitForSubgroupSize(
  { info }: Gpu,
  sizes?: readonly number[],
): string | undefined {
  if (info.subgroupSize === undefined) return "this adapter has no subgroups";
  const { minimum, maximum } = info.subgroupSize;
  if (minimum === maximum && (sizes?.includes(minimum) ?? true)) return undefined;
  const wanted = sizes === undefined ? "" : ` of ${sizes.join(", ")}`;
  return `subgroups have ${minimum} to ${maximum} lanes, wanted one size${wanted}`;
}

/** Why an adapter cannot run kernels that need a storage buffer of `size` bytes. */
export function unfitForStorage(gpu: Gpu, size: number): string | undefined {
  return size <= gpu.largestStorage
    ? undefined
    : `it needs a buffer of ${size} bytes, this adapter allows ${gpu.largestStorage}`;
}
