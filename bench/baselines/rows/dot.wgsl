// The inner products of two matrices, row by row:  result_row = <a_row, b_row>.
//
// One invocation per row, which suits short rows; 64 per workgroup. No barriers.

struct Parameters {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>; // [rows, columns]
@group(0) @binding(2) var<storage, read> b: array<f32>; // [rows, columns]
@group(0) @binding(3) var<storage, read_write> result: array<f32>; // [rows]

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
  let first = row * parameters.columns;
  var sum = 0.0;
  for (var i = first; i < first + parameters.columns; i++) {
    sum += a[i] * b[i];
  }
  result[row] = sum;
}
