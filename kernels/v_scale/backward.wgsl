// V-scale, backward. With u the gradient of the scaled value, r = |v|² and phi = r / (r + C), per row:
//
//   dv = phi u + 2 C / (r + C)² <v, u> v          term of dC = - r / (r + C)² <v, u>
//
// v_scale/constant_gradient.wgsl sums the terms of a head.
//
// One invocation a row of the B Hkv T rows; 64 a workgroup. No barriers. Any D.
//
// Source: Chen, Lin, Yao, arXiv 2603.17771; J = phi I + 2 C / (r + C)² v vᵀ is symmetric.

struct Parameters {
  rows: u32, // B Hkv T
  columns: u32, // D
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> value: array<f32>; // [B, Hkv, T, D]
@group(0) @binding(2) var<storage, read> constant: array<f32>; // [Hkv]
@group(0) @binding(3) var<storage, read> scaledValueGradient: array<f32>; // [B, Hkv, T, D]
@group(0) @binding(4) var<storage, read_write> valueGradient: array<f32>; // [B, Hkv, T, D]
@group(0) @binding(5) var<storage, read_write> constantTerm: array<vec2f>; // [B, Hkv, T] of (term of dC, 0)

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
  let first = row * parameters.columns;
  var squaredNorm = 0.0;
  var product = 0.0;
  for (var i = first; i < first + parameters.columns; i++) {
    squaredNorm += value[i] * value[i];
    product += value[i] * scaledValueGradient[i];
  }
  let c = constant[row / parameters.sequenceLength % parameters.keyValueHeads];
  let sum = squaredNorm + c;
  let factor = squaredNorm / sum;
  let along = 2.0 * (c / sum) / sum * product; // never (r + C)², which overflows first
  for (var i = first; i < first + parameters.columns; i++) {
    valueGradient[i] = factor * scaledValueGradient[i] + along * value[i];
  }
  constantTerm[row] = vec2f(-factor / sum * product, 0.0);
}
