// Rows of all heads to heads of rows, each pair of columns turned by its angle. Needs rotary.wgsl in front.
//
//   output[b][h][t] = R_t input[b][t][h]    R_t (x, y) = (x cos − y sin, x sin + y cos)
//
// One invocation a pair of columns, 64 a workgroup, spread over x and y. No barriers.

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (index >= pairCount()) {
    return;
  }
  let place = placeOf(index);
  let x = input[place.row];
  let y = input[place.row + parameters.pairs];
  output[place.head] = x * place.angle.x - y * place.angle.y;
  output[place.head + parameters.pairs] = x * place.angle.y + y * place.angle.x;
}
