// Catches adapters whose subgroup operations miscompute: the sum of 1 over a subgroup is its size, the sum of the
// invocation numbers over all subgroups is 64 * 63 / 2, and a shuffle by one lane swaps neighbors.

@group(0) @binding(0) var<storage, read_write> result: array<u32>; // [192]: size, sum of lane numbers, neighbor

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(subgroup_size) size: u32) {
  result[lane] = select(0u, size, subgroupAdd(1u) == size);
  result[64u + lane] = subgroupAdd(lane);
  result[128u + lane] = subgroupShuffleXor(lane, 1u);
}
