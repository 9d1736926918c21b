// Adds a vector to every row:  output = input + bias.  Needs rows/element_*.wgsl in front.
//
// One invocation per element, 64 per workgroup, spread over x and y. No barriers.

struct Parameters {
  elements: u32,
  columns: u32, // elements of a row
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [elements]
@group(0) @binding(2) var<storage, read> bias: array<Element>; // [columns]
@group(0) @binding(3) var<storage, read_write> output: array<Element>; // [elements]

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
  output[i] = input[i] + bias[i % parameters.columns];
}
