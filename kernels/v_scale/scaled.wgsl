// V-scale of a row with squares that float32 cannot hold, computed by one invocation. Put this file
// in front of V-scale's kernels. It needs range.wgsl, and rows/element_vector.wgsl or
// rows/element_scalar.wgsl in front, and uses the kernel's `value`.
//
// With r = |v|², L = √(r + C), h = v / L and u the gradient of the scaled value: phi = |h|², dv =
// phi u + 2 (C / L²) <h, u> h, and the term of dC is −phi <h, u> / L. `scale` multiplies v and √C.
// To compute |v|, the row is first multiplied by a power of two of its own.

struct ScaledRow {
  scale: f32, // the power of two that multiplies v and √C
  share: f32, // |v| / L, the root of phi, even if float32 cannot hold phi
  rest: f32, // C / (r + C)
  root: f32, // scale L
}

// Computes a row's factors. The row is `length` elements of `value` from `first` on; `squaredNorm`
// is the float32 sum of their squares, which may have been flushed or have overflowed.
fn scaledRow(first: u32, length: u32, squaredNorm: f32, constant: f32) -> ScaledRow {
  // The row's power of two: 2¹⁰⁰ if |v|² is below 2⁻¹⁰⁰, so squares may have been flushed; 2⁻⁸⁰ if
  // it is above 2¹⁰⁰ or has overflowed; else 1.
  let large = select(8.271806e-25, 1.0, squaredNorm <= 1.2676506e30);
  let own = select(large, 1.2676506e30, squaredNorm < 7.888609e-31);
  var squares = Element();
  for (var i = first; i < first + length; i++) {
    let v = value[i] * own;
    squares += v * v;
  }
  let ownNorm = sqrt(elementSum(squares));
  let root = sqrt(constant);
  // |v| can exceed float32, and powerScale needs a finite number, so limit it to 2¹²⁷.
  let scale = powerScale(max(min(ownNorm / own, 1.7014118e38), root));
  let norm = ownNorm * scale / own; // in this order it stays in float32
  let c = (root * scale) * (root * scale);
  let sum = norm * norm + c;
  return ScaledRow(scale, norm / sqrt(sum), c / sum, sqrt(sum));
}
