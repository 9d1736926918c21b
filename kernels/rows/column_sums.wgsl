// Sums the rows of a matrix:  total[c] = sum_r summands[r][c].  The last stage of RMSNorm's
// gainGradient. Needs rows/element_vector.wgsl or rows/element_scalar.wgsl in front.
//
// One invocation per element of a row, 64 per workgroup; dispatch (ceil(elements / 64)). No
// barriers, no atomics.

struct Parameters {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> summands: array<Element>; // [rows, columns]
@group(0) @binding(2) var<storage, read_write> total: array<Element>; // [columns]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.columns / ELEMENT_WIDTH;
  let column = workgroup.x * 64u + lane.x;
  if (column >= length) {
    return;
  }
  var sum = Element();
  for (var row = 0u; row < parameters.rows; row++) {
    sum += summands[row * length + column];
  }
  total[column] = sum;
}
