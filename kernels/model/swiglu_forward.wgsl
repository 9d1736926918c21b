// SwiGLU, forward:  hidden = g σ(g) u.  σ is the logistic function, g the first half of a row and u
// the second.  Needs rows/element_*.wgsl and model/sigmoid.wgsl in front.
//
// One invocation per element, 64 per workgroup, spread over x and y. No barriers.
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
@group(0) @binding(2) var<storage, read_write> hidden: array<Element>; // [rows, f]

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
  hidden[i] = g * sigmoid(g) * projections[place + elements];
}
