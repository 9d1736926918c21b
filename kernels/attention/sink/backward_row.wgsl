// Attention backward with learned sinks, first step for few rows: the rows' statistics and
// sinkLogitGradient in one kernel, because a second dispatch would take longer than these few sums.
// Needs not_a_number.wgsl, workgroup_sum.wgsl and attention/row_product.wgsl in front.
//
//   rowStatistics_t = (logSumExp_t, D_t - l_t)      ds = sum_t b_t (l_t - D_t)
//
// The names and the order of the sum, and with it its bits, are those of
// attention/sink/backward.wgsl.
//
// One workgroup of 64 invocations per query head, each taking every 64th row. One barrier.
// Dispatch: (Hq).

struct Parameters {
  batches: u32, // B
  queryHeads: u32, // Hq
  sequenceLength: u32, // T
  vectors: u32, // D / 4
  hasLogSumExpGradient: u32, // 0 or 1; if 0, l is 0
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(3) var<storage, read> logSumExp: array<f32>; // [B, Hq, T]
@group(0) @binding(4) var<storage, read_write> rowStatistics: array<vec2f>; // [B, Hq, T]
@group(0) @binding(5) var<storage, read> logSumExpGradient: array<f32>; // [B, Hq, T]
@group(0) @binding(6) var<storage, read> sinkLogit: array<f32>; // [Hq]
@group(0) @binding(7) var<storage, read_write> sinkLogitGradient: array<f32>; // [Hq]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let head = workgroup.x;
  let sink = sinkLogit[head];
  var sum = 0.0;
  for (var b = 0u; b < parameters.batches; b++) {
    let first = (b * parameters.queryHeads + head) * parameters.sequenceLength;
    for (var t = lane.x; t < parameters.sequenceLength; t += LANES) {
      let row = first + t;
      var statistics = vec2f(logSumExp[row], rowProduct(row, parameters.vectors));
      if (parameters.hasLogSumExpGradient == 1u) {
        statistics.y -= logSumExpGradient[row];
      }
      rowStatistics[row] = statistics;
      sum -= exponential(vec4f(sink - statistics.x)).x * statistics.y;
    }
  }
  storeSummand(vec4f(sum), lane.x);
  if (lane.x == 0u) {
    sinkLogitGradient[head] = sumOfSummands().x;
  }
}
