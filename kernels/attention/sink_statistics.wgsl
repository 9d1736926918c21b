// Attention-sink statistics of one key position s, without the attention matrix. Needs
// workgroup_sum.wgsl and not_a_number.wgsl in front.
//
//   a_ts = exp(scale <q_t, k_s> - logSumExp_t)
//   M_s = sum_{t>=s} a_ts      S_s = sum_{t>=s} a_ts²
//   score = mean of a_ts over t = s .. min(s + window, T) - 1
//
// a_ts is the weight that query t gives key s.
//
// One workgroup per query head; each of its 64 invocations takes every 64th query. One barrier.
// Dispatch: (Hq, B).
//
// Source: Chen, Lin, Yao, arXiv 2603.17771 (M_s, S_s); Gu et al., arXiv 2410.10781 (sink score).

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  vectors: u32, // D / 4
  position: u32, // s
  windowEnd: u32, // min(s + window, T)
  scale: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(3) var<storage, read> logSumExp: array<f32>; // [B, Hq, T]
@group(0) @binding(4) var<storage, read_write> mass: array<f32>; // [B, Hq]
@group(0) @binding(5) var<storage, read_write> secondMoment: array<f32>; // [B, Hq]
@group(0) @binding(6) var<storage, read_write> score: array<f32>; // [B, Hq]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.sequenceLength;
  let vectors = parameters.vectors;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let queryHead = workgroup.y * parameters.queryHeads + workgroup.x;
  let keyHead = workgroup.y * parameters.keyValueHeads + workgroup.x / groupSize;
  let keyRow = (keyHead * length + parameters.position) * vectors;

  var sums = vec4f(0.0); // a, a², a within the window
  for (var t = parameters.position + lane.x; t < length; t += LANES) {
    let queryRow = (queryHead * length + t) * vectors;
    var product = 0.0;
    for (var c = 0u; c < vectors; c++) {
      product += dot(query[queryRow + c], key[keyRow + c]);
    }
    let logarithm = parameters.scale * product - logSumExp[queryHead * length + t];
    let weight = exponential(vec4f(logarithm)).x;
    sums += vec4f(weight, weight * weight, select(0.0, weight, t < parameters.windowEnd), 0.0);
  }
  storeSummand(sums, lane.x);
  if (lane.x == 0u) {
    let totals = sumOfSummands();
    mass[queryHead] = totals.x;
    secondMoment[queryHead] = totals.y;
    score[queryHead] = totals.z / f32(parameters.windowEnd - parameters.position);
  }
}
