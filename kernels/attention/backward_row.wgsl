// Attention backward, first step: the numbers that the gradient kernels need for every query row.
// Needs attention/row_product.wgsl in front.
//
//   D_t = <g_t, y_t>      rowStatistics_t = (logSumExp_t, D_t)
//
// g is the gradient of the output y. One invocation for each of the B Hq T rows; 64 per workgroup.
// No barriers.
//
// Source: Dao et al., arXiv 2205.14135, appendix B.4 (D_t replaces the sum over j of
// a_tj <g_t, v_j>).

struct Parameters {
  rows: u32, // B Hq T
  vectors: u32, // D / 4
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(3) var<storage, read> logSumExp: array<f32>; // [B, Hq, T]
@group(0) @binding(4) var<storage, read_write> rowStatistics: array<vec2f>; // [B, Hq, T]

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
  rowStatistics[row] = vec2f(logSumExp[row], rowProduct(row, parameters.vectors));
}
