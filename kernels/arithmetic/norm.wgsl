// The norm of many tensors together, from the sums of squares of arithmetic/sum_squares.wgsl, and the factor that clips it. Needs
// workgroup_sum.wgsl in front.
//
//   norm = √(Σ partial)    factor = min(1, maximum / norm)
//
// One workgroup of 64 invocations, each adding every 64th number. One barrier.
//
// Source: Pascanu, Mikolov, Bengio, arXiv 1211.5063.

struct Parameters {
  runs: u32,
  maximum: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> partial: array<f32>; // [runs]
@group(0) @binding(2) var<storage, read_write> clipping: array<f32>; // norm, factor

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_id) lane: vec3u) {
  var sum = 0.0;
  for (var i = lane.x; i < parameters.runs; i += LANES) {
    sum += partial[i];
  }
  let norm = sqrt(workgroupSum(vec4f(sum), lane.x).x);
  if (lane.x == 0u) {
    clipping[0] = norm;
    clipping[1] = select(1.0, parameters.maximum / norm, norm > parameters.maximum);
  }
}
