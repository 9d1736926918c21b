// Cross-entropy, forward, for adapters that compute on the CPU: model/cross_entropy_forward.wgsl
// with one invocation per row, 8 per workgroup, and no barriers. Needs model/cross_entropy_row.wgsl
// in front.

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = (workgroup.y * workgroups.x + workgroup.x) * 8u + lane.x;
  if (row >= parameters.rows) {
    return;
  }
  var maximum = logits[row * parameters.columns];
  for (var c = 0u; c < parameters.columns; c += 4u) {
    maximum = max(maximum, largest(fourLogits(row, c)));
  }
  var sums = vec4f(0.0);
  for (var c = 0u; c < parameters.columns; c += 4u) {
    sums += fourExponentials(row, c, maximum);
  }
  writeRow(row, maximum, (sums.x + sums.y) + (sums.z + sums.w));
}
