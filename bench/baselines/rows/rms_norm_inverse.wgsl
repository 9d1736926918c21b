// Naive RMSNorm, first step: the inverse root mean square of each row. LANES and workgroupSum come
// from workgroup_sum.wgsl, which is put before this text.
//
//   inverseRms = 1 / sqrt(mean(x²) + epsilon)
//
// One workgroup per row; each of its 64 invocations adds up every 64th column. One barrier.

struct Parameters {
  rows: u32,
  columns: u32, // d
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>; // [rows, d]
@group(0) @binding(2) var<storage, read_write> inverseRms: array<f32>; // [rows]

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
  let first = row * parameters.columns;
  var squares = 0.0;
  for (var i = first + lane.x; i < first + parameters.columns; i += LANES) {
    squares += input[i] * input[i];
  }
  let sum = workgroupSum(vec4f(squares), lane.x).x;
  if (lane.x == 0u) {
    inverseRms[row] = 1.0 / sqrt(sum / f32(parameters.columns) + parameters.epsilon);
  }
}
