// Attention backward, queryGradient: the portable kernel. GPUs usually run
// attention/tiled/backward_query.wgsl.ts. Needs not_a_number.wgsl and attention/tile.wgsl in front.
//
//   a_tj = exp(z_tj - logSumExp_t)      dz_tj = a_tj (f_j <g_t, v_j> - D_t)
//   dq_t = scale sum_{j<=t} dz_tj k_j
//
// z_tj = scale <q_t, k_j>, g is the gradient of the output y, and D_t = <g_t, y_t>, less the
// gradient of logSumExp_t if there is one. f_j = 1, or with V-scale "full" f_j = r_j / (r_j + C)
// with r_j = |v_j|², because the forward then added up f_j v_j. The probabilities are recomputed;
// nothing of size T x T is stored.
//
// One workgroup computes 32 query rows of one head and walks the key tiles up to the diagonal.
// Dispatch: (ceil(T / 32), Hq, B). Invocation (x, y) owns the query rows 4x..4x+3; it computes
// dz_tj with the keys 4y..4y+3, shares them, and accumulates the vec4f columns y, y+8, … of its
// rows' gradient.
//
// Barriers: two per key tile, before and after `logitGradients` is read. Masked keys are never
// added, not even times zero.
//
// Source: Dao, arXiv 2307.08691, algorithm 2, split into two passes, so no sum needs atomics.

@group(0) @binding(1) var<storage, read> query: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(4) var<storage, read> outputGradient: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>; // [B, Hq, T] of (logSumExp, D_t)
@group(0) @binding(6) var<storage, read> valve: array<vec2f>; // [B, Hkv, T] of (r, C); read with V-scale "full" only
@group(0) @binding(7) var<storage, read_write> queryGradient: array<vec4f>; // [B, Hq, T, D]

var<workgroup> logitGradients: array<vec4f, TILE * LANES>; // [key][x]: of the four query rows

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
  let s0 = rowStatistics[queryIndex.x];
  let s1 = rowStatistics[queryIndex.y];
  let s2 = rowStatistics[queryIndex.z];
  let s3 = rowStatistics[queryIndex.w];
  let logSumExp = vec4f(s0.x, s1.x, s2.x, s3.x);
  let rowDot = vec4f(s0.y, s1.y, s2.y, s3.y);

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
        scores += transpose(q) * k;
        let g = mat4x4f(
          outputGradient[queryRow.x + c], outputGradient[queryRow.y + c],
          outputGradient[queryRow.z + c], outputGradient[queryRow.w + c]);
        let v = mat4x4f(value[keyRow.x + c], value[keyRow.y + c], value[keyRow.z + c], value[keyRow.w + c]);
        weightGradients += transpose(g) * v;
      }
      for (var k = 0u; k < 4u; k++) {
        var factor = 1.0;
        if (parameters.vScale == V_SCALE_FULL) {
          factor = valveFactor(valve[keyIndex[k]]);
        }
        logitGradients[(4u * y + k) * LANES + x] =
          exponential(parameters.scale * scores[k] - logSumExp) * (factor * weightGradients[k] - rowDot);
      }
    }
    workgroupBarrier();

    for (var n = 0u; n < columnsPerLane(); n++) {
      let c = y + n * LANES;
      if (c < vectors) {
        var sum = running[n];
        let firstRow = keyHead * length + keyTile * TILE;
        let whole = select(TILE, 4u * x, diagonal); // keys that all four rows see
        for (var j = 0u; j < whole; j++) {
          let d = logitGradients[j * LANES + x];
          let k = key[(firstRow + j) * vectors + c];
          sum += mat4x4f(d.x * k, d.y * k, d.z * k, d.w * k);
        }
        if (diagonal) { // of the four keys on the diagonal, row i sees keys 0 to i
          for (var j = 0u; j < 4u; j++) {
            let d = logitGradients[(4u * x + j) * LANES + x];
            let k = key[(keyHead * length + min(position[j], length - 1u)) * vectors + c];
            for (var i = 0u; i < 4u; i++) {
              sum[i] += select(vec4f(0.0), d[i] * k, i >= j);
            }
          }
        }
        running[n] = sum;
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < 4u; i++) {
    if (position[i] < length) {
      for (var n = 0u; n < columnsPerLane(); n++) {
        let c = y + n * LANES;
        if (c < vectors) {
          queryGradient[queryRow[i] + c] = parameters.scale * running[n][i];
        }
      }
    }
  }
}
