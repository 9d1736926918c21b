// Rounds a tensor to INT8's numbers from −127 to 127, with one scale for the whole tensor, in
// float32:
//
//   output = s clamp(round(x / s), −127, 127)    s = maximum / 127
//
// Needs range.wgsl and arithmetic/quantized.wgsl in front. Halves round to even. A maximum of zero
// makes every number zero; a negative one is no magnitude and makes every number NaN. A NaN stays
// NaN. One workgroup of 64 invocations rounds a run of 256 elements; each invocation takes every
// 64th element. Workgroups are spread over x and y. No barriers.

const LANES: u32 = 64u;
const RUN: u32 = 256u;

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
  let steps = stepsOf(orNotANumber(maximum[0], maximum[0] >= 0.0));
  let first = (workgroup.y * workgroups.x + workgroup.x) * RUN;
  let end = min(first + RUN, parameters.elements);
  for (var i = first + lane.x; i < end; i += LANES) {
    output[i] = quantized(input[i], steps);
  }
}
