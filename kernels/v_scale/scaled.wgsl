// V-scale of a row whose squares float32 does not hold, computed by one invocation. Put in front of
// V-scale's kernels. Needs range.wgsl, and rows/element_vector.wgsl or rows/element_scalar.wgsl in
// front, and the kernel's own `value`.
//
// With L = √(r + C) and h = v / L: phi = |h|², J u = phi u + 2 (C / L²) <h, u> h, and the term of
// dC is −phi <h, u> / L. The row and √C are multiplied by one power of two, and for |v| the row by
// one of its own first.

struct ScaledRow {
  scale: f32, // of v
  share: f32, // |v| / L, the root of phi, which float32 need not hold
  rest: f32, // C / (r + C)
  root: f32, // of scale² (r + C)
}

// `length` elements of `value` from `first` on, and the sum of their squares as far as it is known.
fn scaledRow(first: u32, length: u32, squaredNorm: f32, constant: f32) -> ScaledRow {
  // 2¹⁰⁰ or 2⁻⁸⁰ where squares are flushed or overflow.
  let large = select(8.271806e-25, 1.0, squaredNorm <= 1.2676506e30);
  let own = select(large, 1.2676506e30, squaredNorm < 7.888609e-31);
  var squares = Element();
  for (var i = first; i < first + length; i++) {
    let v = value[i] * own;
    squares += v * v;
  }
  let ownNorm = sqrt(elementSum(squares));
  let root = sqrt(constant);
  let scale = powerScale(max(min(ownNorm / own, 1.7014118e38), root));
  let norm = ownNorm * scale / own; // in this order it stays in float32
  let c = (root * scale) * (root * scale);
  let sum = norm * norm + c;
  return ScaledRow(scale, norm / sqrt(sum), c / sum, sqrt(sum));
}
