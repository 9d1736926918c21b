// Lets row kernels read memory four numbers at a time if d is a multiple of 4.
// rows/element_scalar.wgsl replaces this file for any other d.

alias Element = vec4f;

const ELEMENT_WIDTH: u32 = 4u;

fn elementSum(element: Element) -> f32 {
  return (element.x + element.y) + (element.z + element.w);
}

// The element's number `place`, 0 to 3.
fn elementNumber(element: Element, place: u32) -> f32 {
  return element[place];
}

// The element, with NaN in each component in which `witness` is not finite.
fn whereFinite(element: Element, witness: Element) -> Element {
  let finite = (bitcast<vec4u>(witness) & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
  return bitcast<Element>(select(vec4u(0x7fc00000u), bitcast<vec4u>(element), finite));
}
