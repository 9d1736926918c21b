// Multiplies every element of a matrix by its column's factor or, with BY_ROW, by its row's:
//
//   result[row][c] = matrix[row][c] factor[c]
//   result[row][c] = matrix[row][c] factor[row]  with BY_ROW
//
// One invocation per element, 64 per workgroup. No barriers.

const BY_ROW: bool = false;

struct Parameters {
  elements: u32, // rows * columns
  columns: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> matrix: array<f32>; // [rows, columns]
@group(0) @binding(2) var<storage, read> factor: array<f32>; // [columns], or [rows]
@group(0) @binding(3) var<storage, read_write> result: array<f32>; // [rows, columns]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (i >= parameters.elements) {
    return;
  }
  result[i] = matrix[i] * factor[select(i % parameters.columns, i / parameters.columns, BY_ROW)];
}
