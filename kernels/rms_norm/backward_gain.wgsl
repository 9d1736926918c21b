// RMSNorm backward, gainGradient, first of two stages: the sum over each run of neighboring rows.
// With g the outputGradient:
//
//   partialGain[run][c] = sum over the run's rows of  g * x * inverseRms
//
// rows/column_sums.wgsl adds the sums of all runs. One invocation per column, 64 per workgroup;
// dispatch (ceil(d / 64), runs). No barriers, no atomics, so the order of the sum never changes.

struct Parameters {
  rows: u32,
  columns: u32, // d
  rowsPerRun: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>; // [rows, d]
@group(0) @binding(2) var<storage, read> inverseRms: array<f32>; // [rows]
@group(0) @binding(3) var<storage, read> outputGradient: array<f32>; // [rows, d]
@group(0) @binding(4) var<storage, read_write> partialGain: array<f32>; // [runs, d]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let column = workgroup.x * 64u + lane.x;
  if (column >= parameters.columns) {
    return;
  }
  let first = workgroup.y * parameters.rowsPerRun;
  let end = min(first + parameters.rowsPerRun, parameters.rows);
  var sum = 0.0;
  for (var row = first; row < end; row++) {
    let i = row * parameters.columns + column;
    sum += outputGradient[i] * (input[i] * inverseRms[row]);
  }
  partialGain[workgroup.y * parameters.columns + column] = sum;
}
