// Naive attention backward and sink statistics: overwrites the scores z with the attention weights,
// computed from the scores and the forward pass's logSumExp.
//
//   a_tj = exp(z_tj - logSumExp_t)  for j <= t
//
// One invocation per pair, 16 x 16 per workgroup; dispatch (ceil(T / 16), ceil(T / 16), B Hq). No
// barriers.

struct Parameters {
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logSumExp: array<f32>; // [B, Hq, T]
@group(0) @binding(2) var<storage, read_write> scores: array<f32>; // [B, Hq, T, T]

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) place: vec3u) {
  let j = place.x;
  let t = place.y;
  let length = parameters.sequenceLength;
  if (t >= length || j > t) {
    return;
  }
  let row = place.z * length + t;
  scores[row * length + j] = exp(scores[row * length + j] - logSumExp[row]);
}
