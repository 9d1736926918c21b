// Rows of all heads to heads of rows:  output[b][h][t] = input[b][t][h].
//
// One invocation four neighboring columns, 64 a workgroup, spread over x and y. No barriers.

struct Parameters {
  batches: u32, // B
  heads: u32, // H
  sequenceLength: u32, // T
  vectors: u32, // D / 4
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<vec4f>; // [B, T, H D]
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>; // [B, H, T, D]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  let vectors = parameters.vectors;
  let row = index / vectors; // of output: [B, H, T]
  let matrix = row / parameters.sequenceLength; // [B, H]
  if (matrix >= parameters.batches * parameters.heads) {
    return;
  }
  let position = row % parameters.sequenceLength;
  let source = (matrix / parameters.heads * parameters.sequenceLength + position) * parameters.heads
    + matrix % parameters.heads;
  output[index] = input[source * vectors + index % vectors];
}
