// Naive attention: multiplies each query head's causal matrix by the rows of the keys or values
// that the head uses.
//
//   result_t = factor sum_{j<=t} matrix_tj rows_j
//
// One invocation per vec4f of a result row, 16 x 16 per workgroup; dispatch (ceil(D / 64), ceil(T /
// 16), B Hq). No barriers.

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  vectors: u32, // D / 4
  factor: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> matrix: array<f32>; // [B, Hq, T, T]
@group(0) @binding(2) var<storage, read> rows: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(3) var<storage, read_write> result: array<vec4f>; // [B, Hq, T, D]

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) place: vec3u) {
  let c = place.x;
  let t = place.y;
  let length = parameters.sequenceLength;
  if (t >= length || c >= parameters.vectors) {
    return;
  }
  let batch = place.z / parameters.queryHeads;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let keyHead = batch * parameters.keyValueHeads + place.z % parameters.queryHeads / groupSize;
  let firstRow = keyHead * length;
  let matrixRow = (place.z * length + t) * length;
  var sum = vec4f(0.0);
  for (var j = 0u; j <= t; j++) {
    sum += matrix[matrixRow + j] * rows[(firstRow + j) * parameters.vectors + c];
  }
  result[(place.z * length + t) * parameters.vectors + c] = parameters.factor * sum;
}
