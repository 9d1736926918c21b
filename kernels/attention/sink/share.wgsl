// The learned sinks' share of the weight, with s a head's sink logit. Needs workgroup_sum.wgsl and
// not_a_number.wgsl in front.
//
//   b_t = exp(s - logSumExp_t)      share = mean of b_t over t = 0 .. T - 1
//
// One workgroup per query head; each of its 64 invocations takes every 64th query. One barrier.
// Dispatch: (Hq, B).

struct Parameters {
  queryHeads: u32, // Hq
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logSumExp: array<f32>; // [B, Hq, T]
@group(0) @binding(2) var<storage, read> sinkLogit: array<f32>; // [Hq]
@group(0) @binding(3) var<storage, read_write> share: array<f32>; // [B, Hq]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.sequenceLength;
  let queryHead = workgroup.y * parameters.queryHeads + workgroup.x;
  let sink = sinkLogit[workgroup.x];
  var sum = 0.0;
  for (var t = lane.x; t < length; t += LANES) {
    sum += exponential(vec4f(sink - logSumExp[queryHead * length + t])).x;
  }
  storeSummand(vec4f(sum), lane.x);
  if (lane.x == 0u) {
    share[queryHead] = sumOfSummands().x / f32(length);
  }
}
