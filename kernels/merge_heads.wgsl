// Heads of rows back to rows of all heads, each pair of columns turned back: the inverse of split_heads.wgsl, and, as
// rotations are orthogonal, its gradient. Needs rotary.wgsl in front.
//
//   output[b][t][h] = R_tᵀ input[b][h][t]    R_tᵀ (x, y) = (x cos + y sin, y cos − x sin)
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
  let x = input[place.head];
  let y = input[place.head + parameters.pairs];
  output[place.row] = x * place.angle.x + y * place.angle.y;
  output[place.row + parameters.pairs] = y * place.angle.x - x * place.angle.y;
}
