// The logistic function without overflow: e^−|x| is at most 1. Needs rows/element_*.wgsl in front,
// and goes in front of the SwiGLU kernels. A NaN is lost where exp loses it; what multiplies the
// result by x keeps it.
fn sigmoid(x: Element) -> Element {
  let decay = exp(-abs(x));
  return select(decay, Element(1.0), x >= Element(0.0)) / (Element(1.0) + decay);
}
