// A sum over a workgroup of LANES = GROUP² invocations, for kernels that sum often, without
// subgroups. rows/sum_subgroup.wgsl replaces this file in kernels with subgroups.
//
// Every invocation adds one group of GROUP numbers, then the GROUP sums: two barriers, and the same
// bits everywhere. A kernel may call rowSum again at once: a number is overwritten only after a
// barrier, and all lanes have read it when they reach that barrier.

const LANES: u32 = 64u;
const GROUP: u32 = 8u;

var<workgroup> rowSummands: array<f32, LANES>;
var<workgroup> rowSums: array<f32, GROUP>;

// `turn` is not needed here; rows/sum_subgroup.wgsl uses it.
fn rowSum(summand: f32, lane: u32, turn: u32) -> f32 {
  rowSummands[lane] = summand;
  workgroupBarrier();
  let group = lane % GROUP;
  var sum = 0.0;
  for (var i = 0u; i < GROUP; i++) {
    sum += rowSummands[group * GROUP + i];
  }
  if (lane < GROUP) {
    rowSums[group] = sum;
  }
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < GROUP; i++) {
    total += rowSums[i];
  }
  return total;
}
