// Sums tensors, element by element:  sum = a + b, or (a + b) + c.  Needs rows/element_*.wgsl in
// front.
//
// One invocation per element, 64 per workgroup, spread over x and y. No barriers.

struct Parameters {
  elements: u32,
  terms: u32, // 2 or 3; with 2 the third binding is not read
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> first: array<Element>; // [elements]
@group(0) @binding(2) var<storage, read> second: array<Element>; // [elements]
@group(0) @binding(3) var<storage, read> third: array<Element>; // [elements]
@group(0) @binding(4) var<storage, read_write> sum: array<Element>; // [elements]

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
  var total = first[i] + second[i];
  if (parameters.terms == 3u) {
    total += third[i];
  }
  sum[i] = total;
}
