// V-scale's kernels with subgroups: LANES_PER_ROW neighboring lanes share a row. Their number is a
// power of two, at most the smallest subgroup's size. v_scale/lanes_single.wgsl replaces this file
// if one lane walks a row.
//
// A lane exchanges sums with lanes whose index differs in one bit. x + y equals y + x, so every
// lane of a row ends with the same bits. The exchange assumes that invocations fill subgroups in
// order, which openGpu's self-test checks. The lanes of a row always call rowTotal together, but
// other lanes of the subgroup may not. So a kernel needs the feature `unchecked-subgroups`.

const LANES_PER_ROW: u32 = 4u;

fn rowTotal(summand: f32) -> f32 {
  var sum = summand;
  for (var distance = 1u; distance < LANES_PER_ROW; distance *= 2u) {
    sum += subgroupShuffleXor(sum, distance);
  }
  return sum;
}
