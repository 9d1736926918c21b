// V-scale, backward. With u the gradient of the scaled value, r = |v|² and phi = r / (r + C), per
// row:
//
//   dv = phi u + 2 C / (r + C)² <v, u> v          term of dC = - r / (r + C)² <v, u>
//
// v_scale/constant_gradient.wgsl sums the terms of a head.
//
// Needs in front: rows/element_vector.wgsl or rows/element_scalar.wgsl, which read memory;
// v_scale/lanes_single.wgsl or v_scale/lanes_subgroup.wgsl, which share a row between lanes; and
// range.wgsl and v_scale/scaled.wgsl, for rows with products that float32 cannot hold.
//
// LANES_PER_ROW lanes for each of the B Hkv T rows; neighbors read neighboring elements; 64 /
// LANES_PER_ROW rows per workgroup. Lanes read their row twice, the second time from the cache. No
// barriers. Any D with the scalar element.
//
// Source: Chen, Lin, Yao, arXiv 2603.17771; J = phi I + 2 C / (r + C)² v vᵀ is symmetric.

struct Parameters {
  rows: u32, // B Hkv T
  columns: u32, // D
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> value: array<Element>; // [B, Hkv, T, D]
@group(0) @binding(2) var<storage, read> constant: array<f32>; // [Hkv]
@group(0) @binding(3) var<storage, read> scaledValueGradient: array<Element>; // [B, Hkv, T, D]
@group(0) @binding(4) var<storage, read_write> valueGradient: array<Element>; // [B, Hkv, T, D]
@group(0) @binding(5) var<storage, read_write> constantTerm: array<vec2f>; // [B, Hkv, T] of (term of dC, 0)

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = ((workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x) / LANES_PER_ROW;
  let start = lane.x % LANES_PER_ROW;
  // All lanes take part in the sums; those past the last row add nothing.
  let inside = row < parameters.rows;
  let length = select(0u, parameters.columns / ELEMENT_WIDTH, inside);
  let first = row * length;
  var squares = Element();
  var products = Element();
  for (var i = start; i < length; i += LANES_PER_ROW) {
    let v = value[first + i];
    squares += v * v;
    products += v * scaledValueGradient[first + i];
  }
  let squaredNorm = rowTotal(elementSum(squares));
  let product = rowTotal(elementSum(products));
  let c = constant[row / parameters.sequenceLength % parameters.keyValueHeads];
  let sum = squaredNorm + c;
  let factor = squaredNorm / sum;
  let along = 2.0 * (c / sum) / sum * product; // never (r + C)², which overflows first
  // True if float32 holds every number that follows, or flushes only numbers that do not matter.
  // The bounds are 2⁻¹⁰⁰, 2⁻⁸⁰, 2⁻⁴⁰ and 2⁴⁰. `&`, because `&&` would branch.
  let usual = (squaredNorm >= 7.888609e-31) & (sum >= 9.094947e-13) & (sum <= 1.0995116e12) &
    (factor >= 8.271806e-25) & (abs(product) >= 7.888609e-31) & (abs(product) <= 1.0995116e12);
  if (inside && !usual) {
    let scaled = scaledRow(first, length, squaredNorm, c);
    var alongs = Element();
    for (var i = first; i < first + length; i++) {
      alongs += value[i] * scaled.scale / scaled.root * scaledValueGradient[i];
    }
    let along = elementSum(alongs); // <h, u>, with h of v_scale/scaled.wgsl
    for (var i = start; i < length; i += LANES_PER_ROW) {
      let h = value[first + i] * scaled.scale / scaled.root;
      valueGradient[first + i] = scaled.share * (scaled.share * scaledValueGradient[first + i]) +
        2.0 * scaled.rest * along * h;
    }
    if (start == 0u) {
      constantTerm[row] = vec2f(-(scaled.share / scaled.root * scaled.scale) * (scaled.share * along), 0.0);
    }
    return;
  }
  for (var i = start; i < length; i += LANES_PER_ROW) {
    valueGradient[first + i] = factor * scaledValueGradient[first + i] + along * value[first + i];
  }
  if (inside && start == 0u) {
    constantTerm[row] = vec2f(-factor / sum * product, 0.0);
  }
}
