// The numbers that fused V-scale needs for every value row: valve_s = (r_s, C) with r_s = |v_s|²
// and the head's constant C. Needs range.wgsl in front.
//
// r is exact up to rounding, and 0 for a row of zeros. In two cases float32 is too narrow: r is
// below 2⁻¹²⁶ (1.2·10⁻³⁸) but not 0, or r + C is above 3.4·10³⁸. Then r is set to NaN, which makes
// V-scale's factor NaN too.
//
// One invocation for each of the B Hkv T rows; 64 per workgroup. No barriers.
//
// Source: Chen, Lin, Yao, arXiv 2603.17771.

struct Parameters {
  rows: u32, // B Hkv T
  columns: u32, // D
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> value: array<f32>; // [B, Hkv, T, D]
@group(0) @binding(2) var<storage, read> constant: array<f32>; // [Hkv]
@group(0) @binding(3) var<storage, read_write> valve: array<vec2f>; // [B, Hkv, T]

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
  var squaredNorm = 0.0;
  var isZero = true;
  for (var c = 0u; c < parameters.columns; c++) {
    let v = value[row * parameters.columns + c];
    squaredNorm += v * v;
    isZero = isZero && v == 0.0;
  }
  // Squares below 2⁻¹²⁶ may be flushed to zero, which does not matter to sums of at least 2⁻¹⁰⁰.
  if (!isZero && squaredNorm < 7.888609e-31) {
    squaredNorm = squaredNormOfSmall(row);
  }
  let c = constant[row / parameters.sequenceLength % parameters.keyValueHeads];
  valve[row] = vec2f(orNotANumber(squaredNorm, !isNotFinite(squaredNorm + c)), c);
}

// Scales the row's numbers by 2⁶⁰, so no square that matters is flushed.
fn squaredNormOfSmall(row: u32) -> f32 {
  var squares = 0.0;
  for (var c = 0u; c < parameters.columns; c++) {
    let v = value[row * parameters.columns + c] * 1.1529215e18;
    squares += v * v;
  }
  // Undo the scaling: times 2⁻¹²⁰. For sums below 2⁻⁶ the result would be subnormal, below 2⁻¹²⁶:
  // return NaN.
  return orNotANumber(squares * 7.523164e-37, squares >= 0.015625);
}
