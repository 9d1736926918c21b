// Attention backward, sinkLogitGradient. Needs not_a_number.wgsl and workgroup_sum.wgsl in front.
//
//   b_t = exp(s - logSumExp_t)      ds = sum_t b_t (l_t - D_t)
//
// summed over the batch. s is the head's sink logit, b_t the sink's share of the weight, D_t =
// <g_t, y_t> with g the gradient of the output y, and l is the gradient of logSumExp, or 0 if the
// loss does not depend on it.
//
// One workgroup of 64 invocations per query head, so the order of the sum, and with it its bits,
// never changes. One barrier. Dispatch: (Hq).

struct Parameters {
  batches: u32, // B
  queryHeads: u32, // Hq
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> sinkLogit: array<f32>; // [Hq]
@group(0) @binding(2) var<storage, read> rowStatistics: array<vec2f>; // [B, Hq, T] of (logSumExp, D_t - l_t)
@group(0) @binding(3) var<storage, read_write> sinkLogitGradient: array<f32>; // [Hq]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let head = workgroup.x;
  let sink = sinkLogit[head];
  var sum = 0.0;
  for (var b = 0u; b < parameters.batches; b++) {
    let first = (b * parameters.queryHeads + head) * parameters.sequenceLength;
    for (var t = lane.x; t < parameters.sequenceLength; t += LANES) {
      let statistics = rowStatistics[first + t];
      sum -= exponential(vec4f(sink - statistics.x)).x * statistics.y;
    }
  }
  storeSummand(vec4f(sum), lane.x);
  if (lane.x == 0u) {
    sinkLogitGradient[head] = sumOfSummands().x;
  }
}
