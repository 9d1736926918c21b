// Naive attention: stores the logit of every query t and visible key j.
//
//   scores[t][j] = scale <q_t, k_j>  for j <= t; the rest of the T x T matrix stays unchanged
//
// One invocation per pair, 16 x 16 per workgroup; dispatch (ceil(T / 16), ceil(T / 16), B Hq). No
// barriers.

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  vectors: u32, // D / 4
  scale: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(3) var<storage, read_write> scores: array<f32>; // [B, Hq, T, T]

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) place: vec3u) {
  let j = place.x;
  let t = place.y;
  let length = parameters.sequenceLength;
  if (t >= length || j > t) {
    return;
  }
  let batch = place.z / parameters.queryHeads;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let keyHead = batch * parameters.keyValueHeads + place.z % parameters.queryHeads / groupSize;
  let queryRow = (place.z * length + t) * parameters.vectors;
  let keyRow = (keyHead * length + j) * parameters.vectors;
  var product = 0.0;
  for (var c = 0u; c < parameters.vectors; c++) {
    product += dot(query[queryRow + c], key[keyRow + c]);
  }
  scores[(place.z * length + t) * length + j] = parameters.scale * product;
}
