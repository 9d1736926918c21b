// RMSNorm, forward, a workgroup per row:
//
//   inverseRms = 1 / sqrt(mean(x²) + epsilon),  y = gain * x * inverseRms
//
// Needs in front: one of the files rows/element_*, which read memory; one of the files rows/sum_*,
// which sum over the workgroup; and range.wgsl and rms_norm/inverse.wgsl.
//
// One workgroup of LANES invocations per row. Neighboring invocations read neighboring elements.
// The row is read twice, the second time from the cache. Only rowSum has barriers. d may be any
// number with the scalar element, and a multiple of 4 with the vector element.
//
// Source: Zhang and Sennrich, arXiv 1910.07467.

struct Parameters {
  rows: u32,
  columns: u32, // d
  epsilon: f32,
  firstRow: u32, // another dispatch computes the rows before it
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<Element>; // [d]
@group(0) @binding(3) var<storage, read_write> output: array<Element>; // [rows, d]
@group(0) @binding(4) var<storage, read_write> inverseRms: array<f32>; // [rows]

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = parameters.firstRow + workgroup.y * workgroups.x + workgroup.x;
  if (row >= parameters.rows) {
    return;
  }
  let length = parameters.columns / ELEMENT_WIDTH;
  let first = row * length;
  var squares = Element();
  for (var c = lane.x; c < length; c += LANES) {
    let x = input[first + c];
    squares += x * x;
  }
  let sum = rowSum(elementSum(squares), lane.x, 0u);
  let inverse = inverseRmsOf(sum, row);
  for (var c = lane.x; c < length; c += LANES) {
    output[first + c] = gain[c] * (input[first + c] * inverse);
  }
  if (lane.x == 0u) {
    inverseRms[row] = inverse;
  }
}
