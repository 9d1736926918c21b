// Naive V-scale backward: the gradient of the value v.
//
//   dv = r / (r + C) u + 2 C / (r + C)² <v, u> v
//
// u is the gradient of the scaled value; r = |v|² and <v, u> are read from memory.
//
// One invocation per element, 64 per workgroup. No barriers.

struct Parameters {
  elements: u32, // B Hkv T D
  columns: u32, // D
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> value: array<f32>; // [B, Hkv, T, D]
@group(0) @binding(2) var<storage, read> scaledValueGradient: array<f32>; // [B, Hkv, T, D], u
@group(0) @binding(3) var<storage, read> squaredNorm: array<f32>; // [B, Hkv, T]
@group(0) @binding(4) var<storage, read> product: array<f32>; // [B, Hkv, T], <v, u>
@group(0) @binding(5) var<storage, read> constant: array<f32>; // [Hkv]
@group(0) @binding(6) var<storage, read_write> valueGradient: array<f32>; // [B, Hkv, T, D]

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
  let r = squaredNorm[row];
  let C = constant[row / parameters.sequenceLength % parameters.keyValueHeads];
  let along = 2.0 * C / ((r + C) * (r + C)) * product[row];
  valueGradient[i] = r / (r + C) * scaledValueGradient[i] + along * value[i];
}
