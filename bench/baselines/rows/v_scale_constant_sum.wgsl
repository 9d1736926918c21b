// Naive V-scale backward: the gradient of each head's constant C.
//
//   dC = -sum over batch and positions of  r / (r + C)² <v, u>
//
// r = |v|², and u is the gradient of the scaled value. LANES and workgroupSum come from
// workgroup_sum.wgsl, which is put before this text.
//
// One workgroup per head; each of its 64 invocations adds up every 64th position. One barrier.

struct Parameters {
  batches: u32, // B
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> squaredNorm: array<f32>; // [B, Hkv, T], r
@group(0) @binding(2) var<storage, read> product: array<f32>; // [B, Hkv, T], <v, u>
@group(0) @binding(3) var<storage, read> constant: array<f32>; // [Hkv]
@group(0) @binding(4) var<storage, read_write> constantGradient: array<f32>; // [Hkv]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let head = workgroup.x;
  let C = constant[head];
  var sum = 0.0;
  for (var batch = 0u; batch < parameters.batches; batch++) {
    let first = (batch * parameters.keyValueHeads + head) * parameters.sequenceLength;
    for (var i = first + lane.x; i < first + parameters.sequenceLength; i += LANES) {
      let r = squaredNorm[i];
      sum -= r / ((r + C) * (r + C)) * product[i];
    }
  }
  let total = workgroupSum(vec4f(sum), lane.x).x;
  if (lane.x == 0u) {
    constantGradient[head] = total;
  }
}
