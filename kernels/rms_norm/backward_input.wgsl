// RMSNorm backward, inputGradient. With g the outputGradient, u = gain * g and r = 1 / inverseRms,
// per row:
//
//   dx = u / r - x <u, x> / (d r³)
//
// Needs workgroup_sum.wgsl in front. One workgroup per row; each of its 64 invocations takes every
// 64th column. One barrier. Any d.
//
// Source: the Jacobian of Zhang and Sennrich, arXiv 1910.07467, equation 4.

struct Parameters {
  rows: u32,
  columns: u32, // d
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<f32>; // [d]
@group(0) @binding(3) var<storage, read> inverseRms: array<f32>; // [rows]
@group(0) @binding(4) var<storage, read> outputGradient: array<f32>; // [rows, d]
@group(0) @binding(5) var<storage, read_write> inputGradient: array<f32>; // [rows, d]

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
  let columns = parameters.columns;
  let first = row * columns;
  let inverse = inverseRms[row];
  // Sum with x / r instead of x: for huge x, <u, x> itself would overflow before it is divided by
  // r³.
  var product = 0.0;
  for (var c = lane.x; c < columns; c += LANES) {
    product += gain[c] * outputGradient[first + c] * (input[first + c] * inverse);
  }
  let mean = workgroupSum(vec4f(product), lane.x).x / f32(columns);
  for (var c = lane.x; c < columns; c += LANES) {
    let i = first + c;
    inputGradient[i] = inverse * (gain[c] * outputGradient[i] - mean * (input[i] * inverse));
  }
}
