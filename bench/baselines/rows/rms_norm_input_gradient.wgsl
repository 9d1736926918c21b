// Naive RMSNorm backward: the gradient of the input x, from the results of earlier kernels.
//
//   dx = inverseRms (u - mean n)
//
// n = x inverseRms is the normalized input, u is the output's gradient times the gain, and mean is
// the mean of u n along the row.
//
// One invocation per element, 64 per workgroup. No barriers.

struct Parameters {
  elements: u32, // rows * d
  columns: u32, // d
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> scaledGradient: array<f32>; // [rows, d], u
@group(0) @binding(2) var<storage, read> normalized: array<f32>; // [rows, d], n
@group(0) @binding(3) var<storage, read> mean: array<f32>; // [rows]
@group(0) @binding(4) var<storage, read> inverseRms: array<f32>; // [rows]
@group(0) @binding(5) var<storage, read_write> inputGradient: array<f32>; // [rows, d]

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
  let row = i / parameters.columns;
  inputGradient[i] = inverseRms[row] * (scaledGradient[i] - mean[row] * normalized[i]);
}
