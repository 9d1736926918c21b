// Attention backward, sinkLogitGradient. Needs in front: not_a_number.wgsl, workgroup_sum.wgsl, and
// attention/sink/new_row.wgsl or attention/sink/stored_row.wgsl, which declare the bindings.
//
//   b_t = exp(s - logSumExp_t)      ds = sum_t b_t (l_t - D_t)
//
// ds, the gradient of the head's sink logit s, is also summed over the batch. b_t is the sink's
// share of the weight, D_t = <g_t, y_t> with g the gradient of the output y, and l is the gradient
// of logSumExp, or 0 if the loss does not depend on it.
//
// One workgroup per query head; each of its 64 invocations takes every 64th row. So the order of
// the sum never changes, nor do the sum's bits. One barrier. Dispatch: (Hq).

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let head = workgroup.x;
  let sink = sinkLogit[head];
  var sum = 0.0;
  for (var b = 0u; b < parameters.batches; b++) {
    let first = (b * parameters.queryHeads + head) * parameters.sequenceLength;
    for (var t = lane.x; t < parameters.sequenceLength; t += LANES) {
      let statistics = statisticsOf(first + t);
      sum -= exponential(vec4f(sink - statistics.x)).x * statistics.y;
    }
  }
  storeSummand(vec4f(sum), lane.x);
  if (lane.x == 0u) {
    sinkLogitGradient[head] = sumOfSummands().x;
  }
}
