// 1 / sqrt(mean(x²) + epsilon) of a row from the sum of its squares. If float32 cannot hold that
// sum, the row is scaled and its squares are added up again. Put this file in front of RMSNorm's
// forward kernels.
//
// Needs range.wgsl, and rows/element_vector.wgsl or rows/element_scalar.wgsl in front, and uses the
// kernel's `parameters` and `input`.
//
// If the root mean square exceeds 2¹²⁶ (8.5·10³⁷), its inverse would be subnormal, and the result
// is NaN.

// If float32 cannot hold a row's squares, the row is scaled first: by 2¹⁰⁰ if it is small, by 2⁻⁸⁰
// if it is large.
const SMALL_ROW_SCALE: f32 = 1.2676506e30;
const LARGE_ROW_SCALE: f32 = 8.271806e-25;

// The inverse root mean square of a row whose squares add up to `sum`. Reads the row again only if
// float32 cannot hold `sum` well enough.
fn inverseRmsOf(sum: f32, row: u32) -> f32 {
  let mean = meanSquare(sum, 1.0);
  let scale = nextScale(mean, 1.0);
  if (scale == 1.0) {
    return inverseRoot(mean, 1.0);
  }
  let first = row * parameters.columns;
  var squares = 0.0;
  for (var i = first; i < first + parameters.columns; i++) {
    let x = elementNumber(input[i / ELEMENT_WIDTH], i % ELEMENT_WIDTH) * scale;
    squares += x * x;
  }
  return inverseRoot(meanSquare(squares, scale), scale);
}

// scale² (mean(x²) + epsilon) of a row x. `sum` is the sum of (scale x)² over the row.
fn meanSquare(sum: f32, scale: f32) -> f32 {
  return sum / f32(parameters.columns) + parameters.epsilon * scale * scale;
}

// The scale with which a row's squares must be added up once more. It is 1 if `mean`, found with
// `scale`, can be used, or if the row was scaled already. Squares below 2⁻¹²⁶ may be flushed to
// zero, which does not matter to means of at least 2⁻¹⁰⁰.
fn nextScale(mean: f32, scale: f32) -> f32 {
  let notSmall = select(LARGE_ROW_SCALE, 1.0, mean <= 1e38);
  return select(1.0, select(notSmall, SMALL_ROW_SCALE, mean < 7.888609e-31), scale == 1.0);
}

// The inverse from the scaled mean square.
fn inverseRoot(mean: f32, scale: f32) -> f32 {
  let root = sqrt(mean);
  // The root mean square may be at most 2¹²⁶. For a row scaled by 2⁻⁸⁰, `root` is then at most 2⁴⁶.
  return orNotANumber(1.0 / root * scale, (scale != LARGE_ROW_SCALE) | (root <= 7.0368744e13));
}
