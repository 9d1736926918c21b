// Sums over CLUSTER neighboring lanes of a subgroup, a power of two no larger than the smallest subgroup; put in front
// of the V-scale kernels for GPUs with subgroups.
//
// A lane swaps with those whose number differs in one bit: x + y is y + x, so every lane of a cluster ends with the same
// bits. Invocations are taken to fill subgroups in the order of their numbers, which openGpu's self-test checks.

const CLUSTER: u32 = 4u;

fn clusterSum(summand: f32) -> f32 {
  var sum = summand;
  for (var distance = 1u; distance < CLUSTER; distance *= 2u) {
    sum += subgroupShuffleXor(sum, distance);
  }
  return sum;
}
