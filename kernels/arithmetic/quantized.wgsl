// A number rounded to INT8 under the scale maximum / 127, in float32. Put in front of the kernels that need it.
//
// clamp may lose a NaN, so what is not a number is told by its bits and handed on.
fn quantized(x: f32, maximum: f32) -> f32 {
  let scale = maximum / 127.0;
  let whole = clamp(round(x / max(scale, 1.1754944e-38)), -127.0, 127.0);
  let isNotANumber = (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
  return select(select(0.0, scale * whole, scale > 0.0), x, isNotANumber);
}
