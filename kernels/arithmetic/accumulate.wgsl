// Adds a tensor to another in place:  total += term.  Needs rows/element_*.wgsl in front.
//
// One invocation per element, 64 per workgroup, spread over x and y. No barriers.

struct Parameters {
  elements: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> term: array<Element>; // [elements]
@group(0) @binding(2) var<storage, read_write> total: array<Element>; // [elements]

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
  total[i] += term[i];
}
