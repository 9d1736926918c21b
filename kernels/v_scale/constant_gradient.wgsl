// V-scale's dC: the sum of a head's terms over batch and positions. The terms lie in pairs
// (term, 0), because fused attention overwrites its pairs (r, C) with them.
//
// Needs workgroup_sum.wgsl in front.
//
// One workgroup of 64 invocations per head, so the order of the sum, and with it its bits, never
// changes. One barrier. Dispatch: (Hkv).

struct Parameters {
  batches: u32, // B
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> constantTerm: array<vec2f>; // [B, Hkv, T] of (term of dC, 0)
@group(0) @binding(2) var<storage, read_write> constantGradient: array<f32>; // [Hkv]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let head = workgroup.x;
  var sum = 0.0;
  for (var b = 0u; b < parameters.batches; b++) {
    let first = (b * parameters.keyValueHeads + head) * parameters.sequenceLength;
    for (var s = lane.x; s < parameters.sequenceLength; s += LANES) {
      sum += constantTerm[first + s].x;
    }
  }
  storeSummand(vec4f(sum), lane.x);
  if (lane.x == 0u) {
    constantGradient[head] = sumOfSummands().x;
  }
}
