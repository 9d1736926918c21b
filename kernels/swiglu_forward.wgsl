// SwiGLU, forward:  hidden = g σ(g) u,  σ the logistic function.  Needs row_element_*.wgsl and sigmoid.wgsl in front.
//
// One invocation an element, 64 a workgroup, spread over x and y. No barriers.
//
// Source: Shazeer, arXiv 2002.05202.

struct Parameters {
  elements: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> gate: array<Element>; // [elements]
@group(0) @binding(2) var<storage, read> up: array<Element>; // [elements]
@group(0) @binding(3) var<storage, read_write> hidden: array<Element>; // [elements]

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
  hidden[i] = g * sigmoid(g) * up[i];
}
