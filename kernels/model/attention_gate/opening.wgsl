// How far a gate is open: σ(logit), in every component of an Element. Needs rows/element_*.wgsl and
// model/sigmoid.wgsl in front.
fn openingOf(logit: f32) -> Element {
  // Test the bits: exp loses a NaN on some drivers.
  let isNotANumber = (bitcast<u32>(logit) & 0x7fffffffu) > 0x7f800000u;
  if (isNotANumber) {
    return Element(logit);
  }
  return sigmoid(Element(logit));
}
