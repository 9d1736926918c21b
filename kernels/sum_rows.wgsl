// Sums the rows of a matrix:  total[c] = sum_r summands[r][c].  The second stage of RMSNorm's gainGradient.
//
// One invocation a column, 64 a workgroup; dispatch (ceil(columns / 64)). No barriers, no atomics.

struct Parameters {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> summands: array<f32>; // [rows, columns]
@group(0) @binding(2) var<storage, read_write> total: array<f32>; // [columns]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let column = workgroup.x * 64u + lane.x;
  if (column >= parameters.columns) {
    return;
  }
  var sum = 0.0;
  for (var row = 0u; row < parameters.rows; row++) {
    sum += summands[row * parameters.columns + column];
  }
  total[column] = sum;
}
