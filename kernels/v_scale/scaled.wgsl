// V-scale of a row whose squares float32 does not hold, computed by one invocation. Put in front of
// V-scale's kernels. Needs range.wgsl, and rows/element_vector.wgsl or rows/element_scalar.wgsl in
// front, and the kernel's own `value`.
//
// With L = √(r + C) and h = v / L: phi = |h|², J u = phi u + 2 (C / L²) <h, u> h, and the term of
// dC is −phi <h, u> / L. The row and √C are multiplied by one power of two first, and for |v| the
// row by its own.

struct ScaledRow {
  scale: f32, // of v
  share: f32, // |v| / L, the root of phi, which float32 need not hold
  rest: f32, // C / (r + C)
  root: f32, // of scale² (r + C)
}

fn scaledRow(start: u32, end: u32, constant: f32) -> ScaledRow {
  var largest = 0.0;
  for (var i = start; i < end; i++) {
    largest = max(largest, abs(elementNumber(value[i / ELEMENT_WIDTH], i % ELEMENT_WIDTH)));
  }
  let root = sqrt(constant);
  let scale = powerScale(max(largest, root));
  let own = powerScale(largest);
  var squares = 0.0;
  for (var i = start; i < end; i++) {
    let v = elementNumber(value[i / ELEMENT_WIDTH], i % ELEMENT_WIDTH) * own;
    squares += v * v;
  }
  let norm = sqrt(squares) * (scale / own);
  let c = (root * scale) * (root * scale);
  let sum = norm * norm + c;
  return ScaledRow(scale, norm / sqrt(sum), c / sum, sqrt(sum));
}
