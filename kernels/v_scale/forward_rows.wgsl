// V-scale, forward:  r = |v|²,  scaled value = r / (r + C) v,  per row, with one constant C > 0 a head. For adapters
// that compute on the CPU. Needs rows/element_vector.wgsl or rows/element_scalar.wgsl in front.
//
// One invocation a row of the B Hkv T rows, walked twice from end to end; 64 a workgroup. No barriers. Any D with the
// scalar element.
//
// Source: Chen, Lin, Yao, arXiv 2603.17771.

struct Parameters {
  rows: u32, // B Hkv T
  columns: u32, // D
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> value: array<Element>; // [B, Hkv, T, D]
@group(0) @binding(2) var<storage, read> constant: array<f32>; // [Hkv]
@group(0) @binding(3) var<storage, read_write> scaledValue: array<Element>; // [B, Hkv, T, D]

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
  let length = parameters.columns / ELEMENT_WIDTH;
  let first = row * length;
  var squares = Element();
  for (var i = first; i < first + length; i++) {
    let v = value[i];
    squares += v * v;
  }
  let squaredNorm = elementSum(squares);
  let head = row / parameters.sequenceLength % parameters.keyValueHeads;
  let factor = squaredNorm / (squaredNorm + constant[head]);
  for (var i = first; i < first + length; i++) {
    scaledValue[i] = factor * value[i];
  }
}
