// Naive attention backward: multiplies each query head's transposed causal matrix by the head's
// rows (queries or output gradients). Adds up the products of the query heads that share a key and
// value head.
//
//   result_j = factor sum over these query heads of  sum_{t>=j} matrix_tj rows_t
//
// One invocation per vec4f of a result row, 16 x 16 per workgroup; dispatch (ceil(D / 64), ceil(T /
// 16), B Hkv). No barriers.

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  vectors: u32, // D / 4
  factor: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> matrix: array<f32>; // [B, Hq, T, T]
@group(0) @binding(2) var<storage, read> rows: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(3) var<storage, read_write> result: array<vec4f>; // [B, Hkv, T, D]

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) place: vec3u) {
  let c = place.x;
  let j = place.y;
  let length = parameters.sequenceLength;
  if (j >= length || c >= parameters.vectors) {
    return;
  }
  let batch = place.z / parameters.keyValueHeads;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let firstHead = batch * parameters.queryHeads + place.z % parameters.keyValueHeads * groupSize;
  var sum = vec4f(0.0);
  for (var head = firstHead; head < firstHead + groupSize; head++) {
    for (var t = j; t < length; t++) {
      let row = head * length + t;
      sum += matrix[row * length + j] * rows[row * parameters.vectors + c];
    }
  }
  result[(place.z * length + j) * parameters.vectors + c] = parameters.factor * sum;
}
