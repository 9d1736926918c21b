// 1 / sqrt(mean(x²) + epsilon) of a row from the sum of its squares, even if float32 cannot hold
// that sum. Put this file in front of RMSNorm's forward kernels.
//
// Needs range.wgsl, and rows/element_vector.wgsl or rows/element_scalar.wgsl in front, and uses the
// kernel's `parameters` and `input`.
//
// If the root mean square exceeds 2¹²⁶ (8.5·10³⁷), its inverse would be subnormal, and the result
// is NaN.

// Reads the row again only if its sum is outside the range from which the inverse can be computed.
fn inverseRmsOf(sum: f32, row: u32) -> f32 {
  let mean = meanSquare(sum);
  if (isUsual(mean)) {
    return 1.0 / sqrt(mean);
  }
  return inverseOfScaledRow(row);
}

fn meanSquare(sum: f32) -> f32 {
  return sum / f32(parameters.columns) + parameters.epsilon;
}

// Squares below 2⁻¹²⁶ may be flushed to zero, which does not matter to means of at least 2⁻¹⁰⁰.
fn isUsual(mean: f32) -> bool {
  return (mean >= 7.888609e-31) & (mean <= 1e38); // && would branch
}

// Computes the inverse from squares scaled by 2²⁰⁰ or, if their sum overflows, by 2⁻¹⁶⁰.
fn inverseOfScaledRow(row: u32) -> f32 {
  let first = row * parameters.columns;
  var smallSquares = 0.0;
  var largeSquares = 0.0;
  for (var i = first; i < first + parameters.columns; i++) {
    let x = elementNumber(input[i / ELEMENT_WIDTH], i % ELEMENT_WIDTH);
    smallSquares += (x * 1.2676506e30) * (x * 1.2676506e30);
    largeSquares += (x * 8.271806e-25) * (x * 8.271806e-25);
  }
  let small = smallSquares <= 1e38;
  let scale = select(8.271806e-25, 1.2676506e30, small);
  let squares = select(largeSquares, smallSquares, small);
  let root = sqrt(squares / f32(parameters.columns) + parameters.epsilon * scale * scale);
  // After scaling by 2⁻⁸⁰, the limit of the root is 2⁴⁶ = 2¹²⁶ · 2⁻⁸⁰.
  return orNotANumber(1.0 / root * scale, small || root <= 7.0368744e13);
}
