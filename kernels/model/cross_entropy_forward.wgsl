// Cross-entropy, forward:  logSumExp = log Σ_v e^z_v,  loss = logSumExp − z_target,  row by row.
// Needs workgroup_sum.wgsl and model/cross_entropy_row.wgsl in front.
//
// One workgroup of 64 invocations per row. An invocation takes every 64th group of four columns. It
// reads them twice: for the row's largest logit, and for the sum of the exponentials. After each
// reading there is one barrier.

var<workgroup> maxima: array<f32, LANES>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = workgroup.y * workgroups.x + workgroup.x;
  if (row >= parameters.rows) {
    return;
  }
  var maximum = logits[row * parameters.columns];
  for (var c = 4u * lane.x; c < parameters.columns; c += 4u * LANES) {
    maximum = max(maximum, largest(fourLogits(row, c)));
  }
  maxima[lane.x] = maximum;
  workgroupBarrier();
  for (var l = 0u; l < LANES; l++) {
    maximum = max(maximum, maxima[l]);
  }
  var terms = vec4f(0.0);
  for (var c = 4u * lane.x; c < parameters.columns; c += 4u * LANES) {
    terms += fourExponentials(row, c, maximum);
  }
  storeSummand(terms, lane.x);
  if (lane.x == 0u) {
    let sums = sumOfSummands();
    writeRow(row, maximum, (sums.x + sums.y) + (sums.z + sums.w));
  }
}
