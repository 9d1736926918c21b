// V-scale, backward. With u the gradient of the scaled value, r = |v|² and phi = r / (r + C), per
// row:
//
//   dv = phi u + 2 C / (r + C)² <v, u> v          term of dC = - r / (r + C)² <v, u>
//
// v_scale/constant_gradient.wgsl sums the terms of a head.
//
// If float32 cannot hold a row's numbers in turn 0 of the loop, the row takes two more turns. Turn
// 1 only finds |v|. Turn 2 multiplies v and √C by s, a power of two that brings the larger of |v|
// and √C into [2, 4) if that is a normal float32. This leaves dv as it is and divides the term of
// dC by s. Turn 2 computes phi u as √phi (√phi u), because phi may be subnormal.
//
// Needs in front: rows/element_vector.wgsl or rows/element_scalar.wgsl, which read memory;
// v_scale/lanes_single.wgsl or v_scale/lanes_subgroup.wgsl, which share a row between lanes; and
// range.wgsl.
//
// LANES_PER_ROW lanes share each of the B Hkv T rows and read neighboring elements. A workgroup
// computes 64 / LANES_PER_ROW rows. Lanes read a usual row twice, the second time from the cache.
// No barriers. D may be any number with the scalar element, and a multiple of 4 with the vector
// element.
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
  // All lanes take part in the sums; lanes past the last row add nothing.
  let inside = row < parameters.rows;
  let length = select(0u, parameters.columns / ELEMENT_WIDTH, inside);
  let first = row * length;
  let headConstant = constant[row / parameters.sequenceLength % parameters.keyValueHeads];
  var scale = 1.0; // s
  var share = 1.0; // √phi in the last turn
  var factor = 0.0; // share · factor = phi
  var along = 0.0;
  var term = 0.0;
  for (var turn = 0u;; turn++) {
    var squares = Element();
    var products = Element();
    for (var i = start; i < length; i += LANES_PER_ROW) {
      let v = value[first + i] * scale;
      squares += v * v;
      products += v * scaledValueGradient[first + i];
    }
    let squaredNorm = rowTotal(elementSum(squares));
    let product = rowTotal(elementSum(products));
    let c = headConstant * scale * scale;
    let sum = squaredNorm + c;
    factor = select(share, squaredNorm / sum, turn == 0u);
    along = 2.0 * (c / sum) / sum * product; // never (r + C)², which overflows first
    // factor / sum can be small. Multiply it by a large `product` first, or by a small `product`
    // last, so that no intermediate result is flushed to zero.
    let large = abs(product) >= 1.0;
    term = -(factor / sum * select(share * scale, product, large)) *
      select(product, share * scale, large);
    // True if float32 holds every number above, or flushes only numbers that do not matter. The
    // bounds are 2⁻¹⁰⁰, 2⁻⁸⁰, 2⁻⁴⁰ and 2⁴⁰. `&`, because `&&` would branch.
    let usual = (squaredNorm >= 7.888609e-31) & (sum >= 9.094947e-13) & (sum <= 1.0995116e12) &
      (factor >= 8.271806e-25) & (abs(product) >= 7.888609e-31) & (abs(product) <= 1.0995116e12) &
      (abs(along) >= 7.888609e-31);
    if ((usual & (turn == 0u)) | (turn == 2u) | !inside) {
      break;
    }
    if (turn == 0u) {
      // The next turn multiplies v by `scale` to find |v|: by 2¹⁰⁰ if |v|² is below 2⁻¹⁰⁰, so
      // squares may have been flushed; by 2⁻⁸⁰ if |v|² is above 2¹⁰⁰ or has overflowed; else by 1.
      let notSmall = select(8.271806e-25, 1.0, squaredNorm <= 1.2676506e30);
      scale = select(notSmall, 1.2676506e30, squaredNorm < 7.888609e-31);
    } else {
      let scaledNorm = sqrt(squaredNorm);
      let root = sqrt(headConstant);
      // |v| can exceed float32's range, and powerScale needs a finite number, so limit |v| to 2¹²⁷.
      let lastScale = powerScale(max(min(scaledNorm / scale, 1.7014118e38), root));
      let norm = scaledNorm * lastScale / scale; // in this order it stays in float32
      share = norm / sqrt(norm * norm + (root * lastScale) * (root * lastScale));
      scale = lastScale;
    }
  }
  for (var i = start; i < length; i += LANES_PER_ROW) {
    valueGradient[first + i] = share * (factor * scaledValueGradient[first + i]) +
      along * (value[first + i] * scale);
  }
  if (inside && start == 0u) {
    constantTerm[row] = vec2f(term, 0.0);
  }
}
