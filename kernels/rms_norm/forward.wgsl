// RMSNorm, forward:  inverseRms = 1 / sqrt(mean(x²) + epsilon),  y = gain * x * inverseRms. Needs
// workgroup_sum.wgsl, range.wgsl, rows/element_scalar.wgsl and rms_norm/inverse.wgsl in front.
//
// One workgroup per row; each of its 64 invocations takes every 64th column. One barrier. Any d.
//
// Source: Zhang and Sennrich, arXiv 1910.07467.

struct Parameters {
  rows: u32,
  columns: u32, // d
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<f32>; // [d]
@group(0) @binding(3) var<storage, read_write> output: array<f32>; // [rows, d]
@group(0) @binding(4) var<storage, read_write> inverseRms: array<f32>; // [rows]

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
  var squares = 0.0;
  for (var c = lane.x; c < columns; c += LANES) {
    squares += input[first + c] * input[first + c];
  }
  let sum = workgroupSum(vec4f(squares), lane.x).x;
  let inverse = inverseRmsOf(sum, row);
  for (var c = lane.x; c < columns; c += LANES) {
    output[first + c] = gain[c] * (input[first + c] * inverse);
  }
  if (lane.x == 0u) {
    inverseRms[row] = inverse;
  }
}
