// A number rounded to INT8 under the scale maximum / 127, in float32. Put in front of the kernels
// that need it.
//
// clamp may lose a NaN, so a NaN is recognized by its bits and passed on. Below 2⁻⁶⁰ all is
// multiplied by 2⁶⁴ on the way, so that the scale is not a subnormal number, which adapters may
// take for zero. Above 2¹²⁷ a rounded scale times 127 could leave float32.
fn quantized(number: f32, maximum: f32) -> f32 {
  let small = maximum < 8.6736174e-19;
  let x = number * select(1.0, 1.8446744e19, small);
  let scale = maximum * select(1.0, 1.8446744e19, small) / 127.0;
  let whole = clamp(round(x / max(scale, 1.1754944e-38)), -127.0, 127.0);
  let isNotANumber = (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
  let usual = scale * whole * select(1.0, 5.421011e-20, small);
  let rounded = select(usual, maximum * (whole * 0.007874016), maximum > 1.7014118e38);
  return select(select(0.0, rounded, scale > 0.0), x, isNotANumber);
}
