// V-scale, forward:  r = |v|²,  scaled value = r / (r + C) v,  per row, with one constant C > 0 per
// head.
//
// Needs in front: rows/element_vector.wgsl or rows/element_scalar.wgsl, which read memory;
// v_scale/lanes_single.wgsl or v_scale/lanes_subgroup.wgsl, which share a row between lanes.
//
// LANES_PER_ROW lanes share each of the B Hkv T rows and read neighboring elements. A workgroup
// computes 64 / LANES_PER_ROW rows. Lanes read their row twice, the second time from the cache. No
// barriers. D may be any number with the scalar element, and a multiple of 4 with the vector
// element.
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
  // All lanes take part in the sums; lanes past the last row add nothing.
  let length = select(0u, parameters.columns / ELEMENT_WIDTH, row < parameters.rows);
  let first = row * length;
  let headConstant = constant[row / parameters.sequenceLength % parameters.keyValueHeads];
  // A power of two that multiplies v and √C. If float32 cannot hold a row's sums, the loop runs
  // again with another power. A branch would cost more: a CPU adapter runs both of its sides.
  var scale = 1.0;
  var factor = 0.0;
  for (var again = true; again;) {
    var squares = Element();
    for (var i = start; i < length; i += LANES_PER_ROW) {
      let v = value[first + i] * scale;
      squares += v * v;
    }
    let squaredNorm = rowTotal(elementSum(squares));
    // If the row is small and C > 2, the result is 0 for any C, and C times 2¹²⁶ could overflow. So
    // limit C to 2.
    let c = select(headConstant, min(headConstant, 2.0), scale > 1.0);
    let sum = squaredNorm + c * scale * scale;
    factor = squaredNorm / sum;
    // Flushed squares do not matter if |v|² is at least 2⁻¹⁰⁰, and up to 2¹⁰⁰ no sum overflows.
    let small = squaredNorm < 7.888609e-31;
    again = (small | !(sum <= 1.2676506e30)) & (scale == 1.0) & (length > 0u);
    // The next iteration's scale: 2⁶³ for small rows, 2⁻⁸⁰ for large rows, 2⁻³⁰ if only C is large.
    let notSmall = select(8.271806e-25, 9.313226e-10, squaredNorm <= 1.2676506e30);
    scale = select(notSmall, 9.223372e18, small);
  }
  for (var i = start; i < length; i += LANES_PER_ROW) {
    scaledValue[first + i] = factor * value[first + i];
  }
}
