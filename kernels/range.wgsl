// Recognizes numbers at the ends of float32's range by their bits, because compilers may drop
// comparisons with infinities and NaN. Put this file in front of kernels that need it.

// True for infinities and NaN.
fn isNotFinite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u;
}

// A power of two that scales a normal x into [2, 4). If numbers no larger than x are multiplied by
// this power, float32 can add up their squares. The result is zero for infinities and NaN.
fn powerScale(x: f32) -> f32 {
  let exponent = (bitcast<u32>(x) >> 23u) & 255u;
  return bitcast<f32>((255u - max(exponent, 1u)) << 23u);
}

// x if `holds`, else NaN.
fn orNotANumber(x: f32, holds: bool) -> f32 {
  return bitcast<f32>(select(0x7fc00000u, bitcast<u32>(x), holds));
}
