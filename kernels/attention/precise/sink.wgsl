// Attention backward, precise form with a learned sink. attention/precise/shift.wgsl subtracts the
// value f_p v_p at position p from every value f_j v_j. The subtraction lowers <g_t, f_j v_j> by
// <g_t, f_p v_p>, but D_t = <g_t, y_t> only by (1 - b_t) <g_t, f_p v_p>, because the sink has the
// share b_t of row t's weight. The excess b_t <g_t, f_p v_p> acts like one more gradient of
// logSumExp, so this kernel adds it to that gradient:
//
//   b_t = exp(s - logSumExp_t)      rest_t = l_t + b_t f_p <g_t, v_p>
//
// s is the head's sink logit, g the gradient of the output y, and l the gradient of logSumExp, if
// there is one; f_p = 1, or with V-scale "full" r_p / (r_p + C) with r_p = |v_p|². Needs
// not_a_number.wgsl in front. One invocation for each of the B Hq T rows; 64 per workgroup. No
// barriers.

struct Parameters {
  rows: u32, // B Hq T
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  vectors: u32, // D / 4
  position: u32, // p
  vScaleFull: u32, // 1: factors come from valve
  hasGradient: u32, // 1 if l is read
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> outputGradient: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(2) var<storage, read> value: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(3) var<storage, read> valve: array<vec2f>; // [B, Hkv, T] of (r, C); read with V-scale "full" only
@group(0) @binding(4) var<storage, read> logSumExp: array<f32>; // [B, Hq, T]
@group(0) @binding(5) var<storage, read> sinkLogit: array<f32>; // [Hq]
@group(0) @binding(6) var<storage, read> logSumExpGradient: array<f32>; // [B, Hq, T]
@group(0) @binding(7) var<storage, read_write> rest: array<f32>; // [B, Hq, T]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (row >= parameters.rows) {
    return;
  }
  let head = row / parameters.sequenceLength; // counted over the batch
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let reference = (head / groupSize) * parameters.sequenceLength + parameters.position;
  var products = vec4f(0.0);
  for (var c = 0u; c < parameters.vectors; c++) {
    products += outputGradient[row * parameters.vectors + c] * value[reference * parameters.vectors + c];
  }
  var factor = 1.0;
  if (parameters.vScaleFull == 1u) {
    let v = valve[reference];
    factor = v.x / (v.x + v.y);
  }
  let share = exponential(vec4f(sinkLogit[head % parameters.queryHeads] - logSumExp[row])).x;
  var gradient = share * factor * dot(products, vec4f(1.0));
  if (parameters.hasGradient == 1u) {
    gradient += logSumExpGradient[row];
  }
  rest[row] = gradient;
}
