// V-scale, forward:  r = |v|²,  scaled value = r / (r + C) v,  per row, with one constant C > 0 per
// head.
//
// Needs in front: rows/element_vector.wgsl or rows/element_scalar.wgsl, which read memory;
// v_scale/lanes_single.wgsl or v_scale/lanes_subgroup.wgsl, which share a row between lanes; and
// range.wgsl and v_scale/scaled.wgsl, for rows with squares that float32 cannot hold.
//
// LANES_PER_ROW lanes for each of the B Hkv T rows; neighbors read neighboring elements; 64 /
// LANES_PER_ROW rows per workgroup. Lanes read their row twice, the second time from the cache. No
// barriers. Any D with the scalar element.
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
  let row = ((workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x) / LANES_PER_ROW;
  let start = lane.x % LANES_PER_ROW;
  // All lanes take part in the sums; those past the last row add nothing.
  let length = select(0u, parameters.columns / ELEMENT_WIDTH, row < parameters.rows);
  let first = row * length;
  var squares = Element();
  for (var i = start; i < length; i += LANES_PER_ROW) {
    let v = value[first + i];
    squares += v * v;
  }
  let squaredNorm = rowTotal(elementSum(squares));
  let head = row / parameters.sequenceLength % parameters.keyValueHeads;
  let sum = squaredNorm + constant[head];
  var factor = squaredNorm / sum;
  // Flushed squares do not matter to sums of at least 2⁻¹⁰⁰; below 2¹⁰⁰ nothing overflows.
  if (length > 0u && !(squaredNorm >= 7.888609e-31 && sum <= 1.2676506e30)) {
    let share = scaledRow(first, length, squaredNorm, constant[head]).share;
    factor = share * share;
  }
  for (var i = start; i < length; i += LANES_PER_ROW) {
    scaledValue[first + i] = factor * value[first + i];
  }
}
