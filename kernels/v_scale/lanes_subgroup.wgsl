// How V-scale's kernels share a row on GPUs with subgroups: LANES_PER_ROW neighboring lanes, a
// power of two no larger than the smallest subgroup. v_scale/lanes_single.wgsl takes its place
// elsewhere.
//
// A lane swaps with those whose number differs in one bit: x + y is y + x, so every lane of a row
// ends with the same bits. Invocations are taken to fill subgroups in the order of their numbers,
// which openGpu's self-test checks.

const LANES_PER_ROW: u32 = 4u;

fn rowTotal(summand: f32) -> f32 {
  var sum = summand;
  for (var distance = 1u; distance < LANES_PER_ROW; distance *= 2u) {
    sum += subgroupShuffleXor(sum, distance);
  }
  return sum;
}
