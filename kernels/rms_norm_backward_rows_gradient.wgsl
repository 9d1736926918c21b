// RMSNorm backward for adapters that compute on the CPU, second of three stages. With (n, m) = rowStatistics of
// rms_norm_backward_rows_mean.wgsl.ts, per row and column:
//
//   inputGradient = n (gain g - m x n)          partialGain[run][c] = sum over the run's rows of  g x n
//
// Needs row_element_vector.wgsl or row_element_scalar.wgsl in front; sum_rows.wgsl adds the runs.
//
// One invocation two neighboring column elements of one run of rows, 8 invocations a workgroup; dispatch
// (runs, ceil(elements / 16)): workgroups that run at the same time then write to different rows, not to the same cache
// line of one. The gain and its gradient stay in registers. No barriers, no atomics: the order of the
// sums never changes. Any d with the scalar element.

struct Parameters {
  rows: u32,
  columns: u32, // d
  rowsPerRun: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<Element>; // [d]
@group(0) @binding(3) var<storage, read> rowStatistics: array<vec2f>; // [rows]
@group(0) @binding(4) var<storage, read> outputGradient: array<Element>; // [rows, d]
@group(0) @binding(5) var<storage, read_write> inputGradient: array<Element>; // [rows, d]
@group(0) @binding(6) var<storage, read_write> partialGain: array<Element>; // [runs, d]

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.columns / ELEMENT_WIDTH;
  let column = (workgroup.y * 8u + lane.x) * 2u;
  if (column >= length) {
    return;
  }
  // Past the end the last column is computed again, by the same invocation.
  let next = min(column + 1u, length - 1u);
  let weight0 = gain[column];
  let weight1 = gain[next];
  var sum0 = Element();
  var sum1 = Element();
  let begin = workgroup.x * parameters.rowsPerRun;
  let end = min(begin + parameters.rowsPerRun, parameters.rows);
  for (var row = begin; row < end; row++) {
    let statistics = rowStatistics[row];
    let i0 = row * length + column;
    let i1 = row * length + next;
    let gradient0 = outputGradient[i0];
    let gradient1 = outputGradient[i1];
    let normal0 = input[i0] * statistics.x;
    let normal1 = input[i1] * statistics.x;
    sum0 += gradient0 * normal0;
    sum1 += gradient1 * normal1;
    inputGradient[i0] = statistics.x * (weight0 * gradient0 - statistics.y * normal0);
    inputGradient[i1] = statistics.x * (weight1 * gradient1 - statistics.y * normal1);
  }
  partialGain[workgroup.x * length + column] = sum0;
  partialGain[workgroup.x * length + next] = sum1;
}
