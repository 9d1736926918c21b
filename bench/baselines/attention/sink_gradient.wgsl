// Naive attention backward: the gradients of the learned sinks' logits s.
//
//   ds = -sum over batch and t of  exp(s - logSumExp_t) D_t
//
// D_t is the inner product of output and output gradient at t. LANES and workgroupSum come from
// workgroup_sum.wgsl, which is put before this text.
//
// One workgroup per head; each of its 64 invocations adds up every 64th position. One barrier.

struct Parameters {
  batches: u32, // B
  queryHeads: u32, // Hq
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> sinkLogit: array<f32>; // [Hq]
@group(0) @binding(2) var<storage, read> logSumExp: array<f32>; // [B, Hq, T]
@group(0) @binding(3) var<storage, read> rowDot: array<f32>; // [B, Hq, T], D_t
@group(0) @binding(4) var<storage, read_write> sinkLogitGradient: array<f32>; // [Hq]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let head = workgroup.x;
  var sum = 0.0;
  for (var batch = 0u; batch < parameters.batches; batch++) {
    let first = (batch * parameters.queryHeads + head) * parameters.sequenceLength;
    for (var i = first + lane.x; i < first + parameters.sequenceLength; i += LANES) {
      sum -= exp(sinkLogit[head] - logSumExp[i]) * rowDot[i];
    }
  }
  let total = workgroupSum(vec4f(sum), lane.x).x;
  if (lane.x == 0u) {
    sinkLogitGradient[head] = total;
  }
}
