// Naive attention with learned sinks: overwrites each row's logSumExp and output with those of a
// softmax that includes s, the sink logit of the row's head.
//
//   logSumExp'_t = log(exp(logSumExp_t) + exp(s))        y'_t = exp(logSumExp_t - logSumExp'_t) y_t
//
// One invocation per row; 64 per workgroup. No barriers.

struct Parameters {
  rows: u32, // B Hq T
  queryHeads: u32, // Hq
  sequenceLength: u32, // T
  headDim: u32, // D
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> sinkLogit: array<f32>; // [Hq]
@group(0) @binding(2) var<storage, read_write> logSumExp: array<f32>; // [B, Hq, T]
@group(0) @binding(3) var<storage, read_write> output: array<f32>; // [B, Hq, T, D]

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
  let s = sinkLogit[row / parameters.sequenceLength % parameters.queryHeads];
  let without = logSumExp[row];
  let largest = max(without, s);
  let all = largest + log(exp(without - largest) + exp(s - largest));
  let share = exp(without - all);
  logSumExp[row] = all;
  for (var i = row * parameters.headDim; i < (row + 1u) * parameters.headDim; i++) {
    output[i] *= share;
  }
}
