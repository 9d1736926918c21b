// Swaps heads and positions: output[b][i][j] = input[b][j][i], where each side is a row of D
// numbers. If i is the head and j the position, this splits heads; in the reverse case it merges
// them.
//
// One invocation per four neighboring columns, 64 per workgroup, spread over x and y. No barriers.

// Compiled-in lengths. In place of a length that is 0 here, the kernel takes the parameter's.
const OUTER: u32 = 0u;
const INNER: u32 = 0u;
const VECTORS: u32 = 0u;

struct Parameters {
  batches: u32, // B
  outer: u32, // I
  inner: u32, // J
  vectors: u32, // D / 4
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<vec4f>; // [B, J, I, D]
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>; // [B, I, J, D]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  let outer = select(parameters.outer, OUTER, OUTER > 0u);
  let inner = select(parameters.inner, INNER, INNER > 0u);
  let vectors = select(parameters.vectors, VECTORS, VECTORS > 0u);
  let row = index / vectors; // of output: [B, I, J]
  let matrix = row / inner; // [B, I]
  if (matrix >= parameters.batches * outer) {
    return;
  }
  let source = (matrix / outer * inner + row % inner) * outer + matrix % outer;
  output[index] = input[source * vectors + index % vectors];
}
