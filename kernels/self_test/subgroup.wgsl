// Tests the size of subgroups, their operations, and whether invocations fill subgroups in order,
// because kernels rely on that. One workgroup of LANES invocations. Each writes two numbers:
//
//   result[lane]         the size of its subgroup, as the kernel sees it
//   result[128 + lane]   a bit for each operation that gave a wrong result; 0 if all are right

override LANES: u32 = 64u; // at most 128

@group(0) @binding(0) var<storage, read_write> result: array<u32>; // [256]

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) place: u32,
) {
  let count = max(1u, min(size, LANES)); // a subgroup can be larger than the workgroup
  let first = lane - lane % count;
  let own = lane - first;
  var shuffled = true;
  for (var distance = 1u; distance < 128u; distance *= 2u) {
    let partner = subgroupShuffleXor(lane, distance);
    shuffled &= distance >= count || partner == first + (own ^ distance);
  }
  let next = (own + 1u) % count;
  var wrong = select(1u, 0u, subgroupAdd(1u) == count);
  wrong |= select(2u, 0u, subgroupExclusiveAdd(1u) == own && place == own);
  wrong |= select(4u, 0u, subgroupAdd(lane) == count * first + count * (count - 1u) / 2u);
  wrong |= select(8u, 0u, shuffled);
  wrong |= select(16u, 0u, subgroupShuffle(lane, next) == first + next);
  wrong |= select(32u, 0u, subgroupBroadcast(lane, 0u) == first);
  wrong |= select(64u, 0u, subgroupMax(lane) == first + count - 1u);
  let last = subgroupAny(own == count - 1u);
  let beyond = subgroupAny(own == count);
  wrong |= select(128u, 0u, last & !beyond);
  result[lane] = size;
  result[128u + lane] = wrong;
}
