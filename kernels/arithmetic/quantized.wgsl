// Rounds a number to INT8 with the scale s = maximum / 127, in float32. Put this file in front of
// kernels that need it.
//
//   s clamp(round(x / s), −127, 127) = whole · size · rest
//   whole = clamp(round(x · up / divisor), −127, 127)
//
// For most maxima, size and divisor are s, and up and rest are 1. For maxima below 2⁻⁶⁰, size and
// divisor are 2⁶⁴ s, up = 2⁶⁴ and rest = 2⁻⁶⁴, because s may be subnormal, which adapters may treat
// as zero. For maxima above 2¹²⁶, size = maximum / 128 and rest is 128 / 127 rounded down, because
// a rounded s times 127 could exceed float32.
struct Steps {
  up: f32,
  divisor: f32,
  size: f32,
  rest: f32,
}

fn stepsOf(maximum: f32) -> Steps {
  let small = maximum < 8.6736174e-19;
  let large = maximum > 8.507059e37;
  let up = select(1.0, 1.8446744e19, small);
  let step = maximum * up / 127.0;
  return Steps(
    up,
    max(step, 1.1754944e-38),
    select(step, maximum * 0.0078125, large),
    select(select(1.0, 5.421011e-20, small), 1.0078740, large),
  );
}

// clamp may lose a NaN, so recognize a NaN by its bits and return it.
fn quantized(x: f32, steps: Steps) -> f32 {
  let whole = clamp(round(x * steps.up / steps.divisor), -127.0, 127.0);
  let isNotANumber = (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
  return select(whole * steps.size * steps.rest, x, isNotANumber);
}
