// Embedding, forward:  output[i] = table[tokens[i]].  Needs rows/element_*.wgsl in front.
//
// One invocation per element of the output, 64 per workgroup, spread over x and y. No barriers. A
// token past the table's last row reads the table's last row.

struct Parameters {
  rows: u32, // tokens
  elements: u32, // of a row
  vocabulary: u32, // V
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> tokens: array<f32>; // [rows], integers
@group(0) @binding(2) var<storage, read> table: array<Element>; // [V, d]
@group(0) @binding(3) var<storage, read_write> output: array<Element>; // [rows, d]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (index >= parameters.rows * parameters.elements) {
    return;
  }
  let row = min(u32(tokens[index / parameters.elements]), parameters.vocabulary - 1u);
  output[index] = table[row * parameters.elements + index % parameters.elements];
}
