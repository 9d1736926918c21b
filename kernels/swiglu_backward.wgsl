// SwiGLU, backward. With s = σ(g) and h' the loss's gradient by hidden:
//
//   dg = h' u s (1 + g (1 − s))    du = h' g s
//
// Needs row_element_*.wgsl and sigmoid.wgsl in front. One invocation an element, 64 a workgroup, spread over x and y.
// No barriers.
//
// Source: Shazeer, arXiv 2002.05202.

struct Parameters {
  elements: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> gate: array<Element>; // [elements]
@group(0) @binding(2) var<storage, read> up: array<Element>; // [elements]
@group(0) @binding(3) var<storage, read> hiddenGradient: array<Element>; // [elements]
@group(0) @binding(4) var<storage, read_write> gateGradient: array<Element>; // [elements]
@group(0) @binding(5) var<storage, read_write> upGradient: array<Element>; // [elements]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (i >= parameters.elements) {
    return;
  }
  let g = gate[i];
  let s = sigmoid(g);
  let h = hiddenGradient[i];
  gateGradient[i] = h * up[i] * (s * (Element(1.0) + g * (Element(1.0) - s)));
  upGradient[i] = h * (g * s);
}
