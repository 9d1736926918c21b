// Attention backward if the loss also depends on logSumExp. With l the gradient of logSumExp, g
// the gradient of the output y, and D_t = <g_t, y_t>, the gradient of a logit is
//
//   dz_tj = a_tj (f_j <g_t, v_j> - D_t + l_t)
//
// f_j is 1, or with V-scale "full" the factor of v_j. This kernel replaces D_t by D_t - l_t, so the
// following kernels need not know l. One invocation for each of the B Hq T rows; 64 per workgroup.
// No barriers.

struct Parameters {
  rows: u32, // B Hq T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logSumExpGradient: array<f32>; // [B, Hq, T]
@group(0) @binding(2) var<storage, read_write> rowStatistics: array<vec2f>; // [B, Hq, T]: in (logSumExp, D_t), out (logSumExp, D_t - l_t)

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (row < parameters.rows) {
    rowStatistics[row].y -= logSumExpGradient[row];
  }
}
