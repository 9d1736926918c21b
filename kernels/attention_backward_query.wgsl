// Attention backward, queryGradient. Needs attention_tile.wgsl in front.
//
//   a_tj = exp(z_tj - logSumExp_t)      dz_tj = a_tj (f_j <g_t, v_j> - D_t)      dq_t = scale sum_{j<=t} dz_tj k_j
//
// f_j = 1, or with V-scale "full" f_j = r_j / (r_j + C): the forward aggregated f_j v_j. The probabilities are
// recomputed; nothing of size T x T is stored.
//
// One workgroup computes 32 query rows of one head and walks the key tiles up to the diagonal. Dispatch:
// (ceil(T / 32), Hq, B). Invocation (x, y) owns the query rows 4x..4x+3; it computes dz against the keys
// 4y..4y+3, shares it, and accumulates the columns y, y+8, … of its rows' gradient.
//
// Barriers: two a key tile, before and after `logitGradients` is read. Masked keys are never multiplied.
//
// Source: Dao, arXiv 2307.08691, algorithm 2, split into two passes so that no sum needs atomics.

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(4) var<storage, read> outputGradient: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>; // [B, Hq, T] of (logSumExp, D)
@group(0) @binding(6) var<storage, read> valve: array<vec2f>; // [B, Hkv, T] of (r, C); read with V-scale "full" only
@group(0) @binding(7) var<storage, read_write> queryGradient: array<vec4f>; // [B, Hq, T, D]

var<workgroup> logitGradients: array<vec4f, TILE * LANES>; // [query row][block of four keys]

@compute @workgroup_size(8, 8)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let x = lane.x;
  let y = lane.y;
  let length = parameters.sequenceLength;
  let vectors = parameters.vectors;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let queryTile = workgroups.x - 1u - workgroup.x; // the longest rows first
  let queryHead = workgroup.z * parameters.queryHeads + workgroup.y;
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y / groupSize;
  let last = vec4u(length - 1u);
  let position = queryTile * TILE + 4u * x + FOUR;
  let queryIndex = queryHead * length + min(position, last);
  let queryRow = queryIndex * vectors;

  var running: array<mat4x4f, COLUMNS_PER_LANE>;

  for (var keyTile = 0u; keyTile <= queryTile; keyTile++) {
    let diagonal = keyTile == queryTile;
    let keyPosition = keyTile * TILE + 4u * y + FOUR;
    let keyIndex = keyHead * length + min(keyPosition, last);
    let keyRow = keyIndex * vectors;

    if (!diagonal || y <= x) {
      var scores = mat4x4f();
      var weightGradients = mat4x4f();
      for (var c = 0u; c < vectors; c++) {
        let q = mat4x4f(
          query[queryRow.x + c], query[queryRow.y + c], query[queryRow.z + c], query[queryRow.w + c]);
        let k = mat4x4f(key[keyRow.x + c], key[keyRow.y + c], key[keyRow.z + c], key[keyRow.w + c]);
        scores += transpose(k) * q;
        let g = mat4x4f(
          outputGradient[queryRow.x + c], outputGradient[queryRow.y + c],
          outputGradient[queryRow.z + c], outputGradient[queryRow.w + c]);
        let v = mat4x4f(value[keyRow.x + c], value[keyRow.y + c], value[keyRow.z + c], value[keyRow.w + c]);
        weightGradients += transpose(v) * g;
      }
      var factors = vec4f(1.0);
      if (parameters.vScale == V_SCALE_FULL) {
        factors = valveFactors(
          valve[keyIndex.x], valve[keyIndex.y], valve[keyIndex.z], valve[keyIndex.w]);
      }
      for (var i = 0u; i < 4u; i++) {
        let statistics = rowStatistics[queryIndex[i]];
        let weight = exp(parameters.scale * scores[i] - vec4f(statistics.x));
        logitGradients[(4u * x + i) * LANES + y] =
          weight * (factors * weightGradients[i] - vec4f(statistics.y));
      }
    }
    workgroupBarrier();

    let blocks = select(LANES, x, diagonal); // those that all four rows see whole
    for (var block = 0u; block < blocks; block++) {
      let row = 4u * x * LANES + block;
      let d = mat4x4f(
        logitGradients[row], logitGradients[row + LANES],
        logitGradients[row + 2u * LANES], logitGradients[row + 3u * LANES]);
      let blockRow = (keyHead * length + keyTile * TILE + 4u * block + FOUR) * vectors;
      for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
        let c = y + n * LANES;
        if (c < vectors) {
          running[n] += mat4x4f(
            key[blockRow.x + c], key[blockRow.y + c], key[blockRow.z + c], key[blockRow.w + c]) * d;
        }
      }
    }
    if (diagonal) { // the block that the diagonal cuts: row i sees its keys 0..i
      let row = 4u * x * LANES + x;
      let d0 = logitGradients[row];
      let d1 = logitGradients[row + LANES];
      let d2 = logitGradients[row + 2u * LANES];
      let d3 = logitGradients[row + 3u * LANES];
      let blockRow = (keyHead * length + min(position, last)) * vectors;
      for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
        let c = y + n * LANES;
        if (c < vectors) {
          let k0 = key[blockRow.x + c];
          let k1 = key[blockRow.y + c];
          let k2 = key[blockRow.z + c];
          let k3 = key[blockRow.w + c];
          running[n][0] += k0 * d0.x;
          running[n][1] += k0 * d1.x + k1 * d1.y;
          running[n][2] += k0 * d2.x + k1 * d2.y + k2 * d2.z;
          running[n][3] += k0 * d3.x + k1 * d3.y + k2 * d3.z + k3 * d3.w;
        }
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < 4u; i++) {
    if (position[i] < length) {
      for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
        let c = y + n * LANES;
        if (c < vectors) {
          queryGradient[queryRow[i] + c] = parameters.scale * running[n][i];
        }
      }
    }
  }
}
