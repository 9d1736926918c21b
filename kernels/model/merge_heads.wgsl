// Heads of rows to rows of all heads:  output[b][t][h] = input[b][h][t].
//
// One invocation four neighboring columns, 64 a workgroup, spread over x and y. No barriers.

struct Parameters {
  batches: u32, // B
  heads: u32, // H
  sequenceLength: u32, // T
  vectors: u32, // D / 4
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<vec4f>; // [B, H, T, D]
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>; // [B, T, H D]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  let vectors = parameters.vectors;
  let row = index / vectors; // of output: [B, T, H]
  let position = row / parameters.heads; // [B, T]
  if (position >= parameters.batches * parameters.sequenceLength) {
    return;
  }
  let matrix = position / parameters.sequenceLength * parameters.heads + row % parameters.heads;
  let source = matrix * parameters.sequenceLength + position % parameters.sequenceLength;
  output[index] = input[source * vectors + index % vectors];
}
