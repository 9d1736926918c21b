// Raises `maximum` to the largest magnitude in a tensor, unless `maximum` is larger already:
//
//   maximum = max(maximum, max_i |x_i|)
//
// One workgroup of 64 invocations, each reading every 64th element. One barrier.

const LANES: u32 = 64u;

struct Parameters {
  elements: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>; // [elements]
@group(0) @binding(2) var<storage, read_write> maximum: array<f32>; // [1]

var<workgroup> maxima: array<f32, LANES>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_id) lane: vec3u) {
  var largest = 0.0;
  for (var i = lane.x; i < parameters.elements; i += LANES) {
    largest = max(largest, abs(input[i]));
  }
  maxima[lane.x] = largest;
  workgroupBarrier();
  if (lane.x == 0u) {
    for (var l = 0u; l < LANES; l++) {
      largest = max(largest, maxima[l]);
    }
    maximum[0] = max(maximum[0], largest);
  }
}
