// V-scale, forward, for GPUs with subgroups:  r = |v|²,  scaled value = r / (r + C) v,  per row, with one constant C > 0
// a head. Needs rows/element_vector.wgsl or rows/element_scalar.wgsl, and v_scale/cluster.wgsl in front.
//
// CLUSTER lanes a row of the B Hkv T rows, neighbors on neighboring elements; 64 / CLUSTER rows a workgroup. The row is
// read twice, the second time from the cache. No barriers. Any D with the scalar element.
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
  let row = ((workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x) / CLUSTER;
  let start = lane.x % CLUSTER;
  // Nobody leaves before the sums: lanes past the last row have nothing to add.
  let length = select(0u, parameters.columns / ELEMENT_WIDTH, row < parameters.rows);
  let first = row * length;
  var squares = Element();
  for (var i = start; i < length; i += CLUSTER) {
    let v = value[first + i];
    squares += v * v;
  }
  let squaredNorm = clusterSum(elementSum(squares));
  let head = row / parameters.sequenceLength % parameters.keyValueHeads;
  let factor = squaredNorm / (squaredNorm + constant[head]);
  for (var i = start; i < length; i += CLUSTER) {
    scaledValue[first + i] = factor * value[first + i];
  }
}
