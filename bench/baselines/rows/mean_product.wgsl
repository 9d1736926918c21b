// Naive RMSNorm backward: stores the mean of each row of two matrices' elementwise product. LANES
// and workgroupSum come from workgroup_sum.wgsl, which is put before this text.
//
// One workgroup per row; each of its 64 invocations adds up every 64th column. One barrier.

struct Parameters {
  rows: u32,
  columns: u32, // d
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>; // [rows, d]
@group(0) @binding(2) var<storage, read> b: array<f32>; // [rows, d]
@group(0) @binding(3) var<storage, read_write> mean: array<f32>; // [rows]

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
  var product = 0.0;
  for (var i = first + lane.x; i < first + parameters.columns; i += LANES) {
    product += a[i] * b[i];
  }
  let sum = workgroupSum(vec4f(product), lane.x).x;
  if (lane.x == 0u) {
    mean[row] = sum / f32(parameters.columns);
  }
}
