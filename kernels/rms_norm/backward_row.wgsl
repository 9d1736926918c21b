// RMSNorm backward, one workgroup per row: inputGradient, and the row's terms of gainGradient. With
// g the outputGradient, u = gain * g and n = inverseRms, per row:
//
//   inputGradient = n (u − x n <u, x> n / d)        partialGain[firstPartial + workgroup] = g x n
//
// It is for the few rows outside the tiles of rms_norm/backward_tile.wgsl.ts.
// rows/column_sums.wgsl adds the terms.
//
// Needs in front: one of the files rows/element_*, which read memory, and one of the files
// rows/sum_*, which sum over the workgroup.
//
// A workgroup has LANES invocations. Neighboring invocations read neighboring elements. Only rowSum
// has barriers. d may be any number with the scalar element, and a multiple of 4 with the vector
// element.
//
// Source: the Jacobian of Zhang and Sennrich, arXiv 1910.07467, equation 4.

struct Parameters {
  firstRow: u32,
  columns: u32, // d
  firstPartial: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<Element>; // [d]
@group(0) @binding(3) var<storage, read> inverseRms: array<f32>; // [rows]
@group(0) @binding(4) var<storage, read> outputGradient: array<Element>; // [rows, d]
@group(0) @binding(5) var<storage, read_write> inputGradient: array<Element>; // [rows, d]
@group(0) @binding(6) var<storage, read_write> partialGain: array<Element>; // [partials, d]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.columns / ELEMENT_WIDTH;
  let row = parameters.firstRow + workgroup.x;
  let first = row * length;
  let partial = (parameters.firstPartial + workgroup.x) * length;
  let inverse = inverseRms[row];
  var product = Element();
  for (var c = lane.x; c < length; c += LANES) {
    let term = outputGradient[first + c] * (input[first + c] * inverse);
    partialGain[partial + c] = term;
    product += gain[c] * term;
  }
  let mean = rowSum(elementSum(product), lane.x, 0u) / f32(parameters.columns);
  for (var c = lane.x; c < length; c += LANES) {
    let i = first + c;
    inputGradient[i] = inverse * (gain[c] * outputGradient[i] - mean * (input[i] * inverse));
  }
}
