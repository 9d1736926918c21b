// A sum over a workgroup of LANES invocations, by subgroups. rows/sum_workgroup.wgsl replaces this
// file in kernels without subgroups, rows/sum_lanes.wgsl.ts on CPU adapters if the workgroup is one
// subgroup of 8 lanes or more.
//
// With ONE_SUBGROUP the workgroup is one subgroup, which sums without a barrier. Otherwise the
// first lane of every subgroup writes its sum to workgroup memory, and every subgroup adds those
// sums. That takes one barrier, for any subgroup size and any assignment of invocations to
// subgroups. All subgroups add in the same order, so the bits agree.

const LANES: u32 = 64u;
const ONE_SUBGROUP: bool = false;

// Two halves. Successive sums alternate between them, because one subgroup may still read its half
// when another subgroup already writes for the next sum.
var<workgroup> rowSums: array<f32, 2u * LANES>;

// The sum over the invocation's subgroup.
fn subgroupTotal(summand: f32) -> f32 {
  return subgroupAdd(summand);
}

// Each call must pass a `turn` one higher than the call before, so that the halves alternate.
fn rowSum(summand: f32, lane: u32, turn: u32) -> f32 {
  let sum = subgroupTotal(summand);
  if (ONE_SUBGROUP) {
    return sum;
  }
  let half = (turn % 2u) * LANES;
  let size = subgroupAdd(1u);
  let place = subgroupExclusiveAdd(1u);
  rowSums[half + lane] = select(0.0, sum, place == 0u);
  workgroupBarrier();
  var part = 0.0;
  for (var i = place; i < LANES; i += size) {
    part += rowSums[half + i];
  }
  return subgroupTotal(part);
}
