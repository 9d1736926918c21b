// Embedding, backward:  tableGradient[v] = sum of outputGradient[i] over the places i where the
// token is v.  Needs rows/element_*.wgsl in front.
//
// The places come sorted by token, so those of one row of the table are neighbors. Their gradients
// are added in order: no atomics, and the same bits every time.
//
// One invocation per element of the table's gradient, 64 per workgroup, spread over x and y. No
// barriers.

struct Parameters {
  rows: u32, // tokens
  elements: u32, // of a row
  vocabulary: u32, // V
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> order: array<f32>; // [rows]: the places, sorted by token
@group(0) @binding(2) var<storage, read> starts: array<f32>; // [V + 1]: where each token's places begin in `order`
@group(0) @binding(3) var<storage, read> outputGradient: array<Element>; // [rows, d]
@group(0) @binding(4) var<storage, read_write> tableGradient: array<Element>; // [V, d]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (index >= parameters.vocabulary * parameters.elements) {
    return;
  }
  let token = index / parameters.elements;
  let column = index % parameters.elements;
  let end = min(u32(starts[token + 1u]), parameters.rows);
  var sum = Element(0.0);
  for (var i = u32(starts[token]); i < end; i++) {
    let row = min(u32(order[i]), parameters.rows - 1u);
    sum += outputGradient[row * parameters.elements + column];
  }
  tableGradient[index] = sum;
}
