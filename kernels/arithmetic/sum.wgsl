// The sum of a tensor's elements, times a factor:  total = factor Σ_i x_i.  Needs
// workgroup_sum.wgsl in front.
//
// One workgroup of 64 invocations, each adding every 64th element, so the order of the sum never
// changes. One barrier. It suits a few thousand elements.

struct Parameters {
  elements: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>; // [elements]
@group(0) @binding(2) var<storage, read_write> total: array<f32>; // [1]

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_id) lane: vec3u) {
  var sum = 0.0;
  for (var i = lane.x; i < parameters.elements; i += LANES) {
    sum += input[i];
  }
  storeSummand(vec4f(sum), lane.x);
  if (lane.x == 0u) {
    total[0] = parameters.factor * sumOfSummands().x;
  }
}
