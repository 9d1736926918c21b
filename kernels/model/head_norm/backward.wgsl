// Backward of model/head_norm/forward.wgsl: the gradient with respect to the joint projection. With
// u = gain ⊙ ∂L/∂output and r = 1 / inverseRms:
//
//   ∂L/∂x = u / r − x ⟨u, x⟩ / (D r³)
//
// Needs model/head_norm/head.wgsl in front. One invocation per head's row, 64 per workgroup, spread
// over x and y. No barriers.

@group(0) @binding(4) var<storage, read> inverseRms: array<f32>; // [B T, Hq + Hkv]
@group(0) @binding(5) var<storage, read> outputGradient: array<vec4f>; // of the projections' shape
@group(0) @binding(6) var<storage, read_write> projectionsGradient: array<vec4f>; // of this shape

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let head = headOf((workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x);
  if (!head.valid) {
    return;
  }
  if (!head.normalized) {
    for (var c = 0u; c < parameters.columns; c++) {
      projectionsGradient[head.start + c] = outputGradient[head.start + c];
    }
    return;
  }
  let inverse = inverseRms[head.statistic];
  var products = vec4f(0.0);
  for (var c = 0u; c < parameters.columns; c++) {
    let u = gainOf(head, c) * outputGradient[head.start + c];
    products += u * (projections[head.start + c] * inverse);
  }
  let mean = ((products.x + products.y) + (products.z + products.w)) / f32(4u * parameters.columns);
  for (var c = 0u; c < parameters.columns; c++) {
    let u = gainOf(head, c) * outputGradient[head.start + c];
    let normalized = projections[head.start + c] * inverse;
    projectionsGradient[head.start + c] = (u - normalized * mean) * inverse;
  }
}
