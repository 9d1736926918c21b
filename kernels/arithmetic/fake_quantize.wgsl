// Rounds a tensor to the 255 numbers that INT8 can hold under one scale for all of it, and stays in
// float32:
//
//   output = s clamp(round(x / s), −127, 127)    s = maximum / 127
//
// Needs arithmetic/quantized.wgsl in front. Halves round to even. With a maximum of zero everything
// becomes zero. A NaN stays one. One invocation per element, 64 per workgroup, spread over x and y.
// No barriers.

struct Parameters {
  elements: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>; // [elements]
@group(0) @binding(2) var<storage, read> maximum: array<f32>; // [1]
@group(0) @binding(3) var<storage, read_write> output: array<f32>; // [elements]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (i >= parameters.elements) {
    return;
  }
  output[i] = quantized(input[i], maximum[0]);
}
