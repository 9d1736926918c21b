// The logistic function without overflow: e^−|x| is at most 1. Needs rows/element_*.wgsl in front.
// It loses a NaN if exp does, but a product of the result with x keeps the NaN.
fn sigmoid(x: Element) -> Element {
  let decay = exp(-abs(x));
  return select(decay, Element(1.0), x >= Element(0.0)) / (Element(1.0) + decay);
}
