// Lets row kernels read memory for any d: one number at a time. rows/element_vector.wgsl replaces
// this file if d is a multiple of 4.

alias Element = f32;

const ELEMENT_WIDTH: u32 = 1u;

fn elementSum(element: Element) -> f32 {
  return element;
}

// The element's only number; `place` is 0.
fn elementNumber(element: Element, place: u32) -> f32 {
  return element;
}

// The element if `witness` is finite, else NaN.
fn whereFinite(element: Element, witness: Element) -> Element {
  let finite = (bitcast<u32>(witness) & 0x7f800000u) != 0x7f800000u;
  return bitcast<Element>(select(0x7fc00000u, bitcast<u32>(element), finite));
}
