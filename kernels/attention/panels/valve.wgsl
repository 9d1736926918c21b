// Attention backward in panels, last step, with V-scale: multiplies the gradient u of the scaled
// values by V-scale's Jacobian, in place. With r = |v|² and phi = r / (r + C), per row:
//
//   dv = phi u + 2 C / (r + C)² <v, u> v          valve: in (r, C), out (term of dC, 0)
//
// v_scale/constant_gradient.wgsl sums the terms, - r / (r + C)² <v, u>. One invocation for each of
// the B Hkv T rows, 64 per workgroup. No barriers.
//
// Source: Chen, Lin, Yao, arXiv 2603.17771; J = phi I + 2 C / (r + C)² v vᵀ is symmetric.

struct Parameters {
  rows: u32, // B Hkv T
  vectors: u32, // D / 4
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> value: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(2) var<storage, read_write> valve: array<vec2f>; // [B, Hkv, T]
@group(0) @binding(3) var<storage, read_write> valueGradient: array<vec4f>; // [B, Hkv, T, D]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (row >= parameters.rows) {
    return;
  }
  let first = row * parameters.vectors;
  var products = vec4f();
  for (var i = first; i < first + parameters.vectors; i++) {
    products += value[i] * valueGradient[i];
  }
  let product = products.x + products.y + products.z + products.w;
  let v = valve[row];
  let sum = v.x + v.y;
  let factor = v.x / sum;
  let along = 2.0 * (v.y / sum) / sum * product; // never (r + C)², which overflows first
  for (var i = first; i < first + parameters.vectors; i++) {
    valueGradient[i] = factor * valueGradient[i] + along * value[i];
  }
  valve[row] = vec2f(-factor / sum * product, 0.0);
}
