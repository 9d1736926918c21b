// SwiGLU, backward. g is the first half of a row and u the second. s is the logistic function of g,
// and h' the loss's gradient with respect to `hidden`, the forward's output:
//
//   dg = h' u s (1 + g (1 − s))    du = h' g s
//
// Needs rows/element_*.wgsl and model/sigmoid.wgsl in front. One invocation per element, 64 per
// workgroup, spread over x and y. No barriers.
//
// Source: Shazeer, arXiv 2002.05202.

// The compiled-in number of elements in half a row. If it is 0, the kernel takes the parameter's.
const ELEMENTS: u32 = 0u;

struct Parameters {
  rows: u32,
  elements: u32, // of half a row: f numbers
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> projections: array<Element>; // [rows, 2 f]
@group(0) @binding(2) var<storage, read> hiddenGradient: array<Element>; // [rows, f]
@group(0) @binding(3) var<storage, read_write> projectionsGradient: array<Element>; // [rows, 2 f]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  let elements = select(parameters.elements, ELEMENTS, ELEMENTS > 0u);
  if (i >= parameters.rows * elements) {
    return;
  }
  let place = i / elements * elements + i;
  let g = projections[place];
  let u = projections[place + elements];
  let s = sigmoid(g);
  let h = hiddenGradient[i];
  projectionsGradient[place] = h * u * (s * (Element(1.0) + g * (Element(1.0) - s)));
  projectionsGradient[place + elements] = h * (g * s);
}
