// Naive attention backward: stores the gradient of the logit of every query t and visible key j.
//
//   dz_tj = a_tj (<g_t, v_j> - D_t)  for j <= t
//
// The weights a_tj and D_t = <g_t, y_t> are read from memory; g is the gradient of the output y.
//
// One invocation per pair, 16 x 16 per workgroup; dispatch (ceil(T / 16), ceil(T / 16), B Hq). No
// barriers.

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  vectors: u32, // D / 4
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> weights: array<f32>; // [B, Hq, T, T]
@group(0) @binding(2) var<storage, read> outputGradient: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(4) var<storage, read> rowDot: array<f32>; // [B, Hq, T], D_t
@group(0) @binding(5) var<storage, read_write> logitGradient: array<f32>; // [B, Hq, T, T]

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
  let row = place.z * length + t;
  let queryRow = row * parameters.vectors;
  let valueRow = (keyHead * length + j) * parameters.vectors;
  var product = 0.0;
  for (var c = 0u; c < parameters.vectors; c++) {
    product += dot(outputGradient[queryRow + c], value[valueRow + c]);
  }
  logitGradient[row * length + j] = weights[row * length + j] * (product - rowDot[row]);
}
