// Naive attention: overwrites each row of scores z with its softmax a, and stores the row's
// logSumExp.
//
//   a_tj = exp(z_tj - max_t) / sum_j exp(z_tj - max_t)
//   logSumExp_t = max_t + log sum_j exp(z_tj - max_t)
//
// One workgroup per row; each of its 64 invocations computes every 64th column up to the diagonal.
// Two barriers.

const LANES: u32 = 64u;

struct Parameters {
  rows: u32, // B Hq T
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> scores: array<f32>; // [B, Hq, T, T]
@group(0) @binding(2) var<storage, read_write> logSumExp: array<f32>; // [B, Hq, T]

var<workgroup> maxima: array<f32, LANES>;
var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = workgroup.y * workgroups.x + workgroup.x;
  if (row >= parameters.rows) {
    return;
  }
  let first = row * parameters.sequenceLength;
  let end = first + row % parameters.sequenceLength + 1u;

  var largest = scores[first];
  for (var i = first + lane.x; i < end; i += LANES) {
    largest = max(largest, scores[i]);
  }
  maxima[lane.x] = largest;
  workgroupBarrier();
  for (var l = 0u; l < LANES; l++) {
    largest = max(largest, maxima[l]);
  }

  var sum = 0.0;
  for (var i = first + lane.x; i < end; i += LANES) {
    let weight = exp(scores[i] - largest);
    scores[i] = weight;
    sum += weight;
  }
  sums[lane.x] = sum;
  workgroupBarrier();
  sum = 0.0;
  for (var l = 0u; l < LANES; l++) {
    sum += sums[l];
  }

  for (var i = first + lane.x; i < end; i += LANES) {
    scores[i] /= sum;
  }
  if (lane.x == 0u) {
    logSumExp[row] = largest + log(sum);
  }
}
