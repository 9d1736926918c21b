// Attention backward, keyGradient and valueGradient: the portable kernel. GPUs usually run
// attention/tiled/backward_key_value.wgsl.ts. Needs not_a_number.wgsl and attention/tile.wgsl in
// front.
//
//   a_tj = exp(z_tj - logSumExp_t)                     dz_tj = a_tj (f_j <g_t, v_j> - D_t)
//   dk_j = scale sum_{t>=j} dz_tj q_t                  u_j = sum_{t>=j} a_tj g_t
//
// Both sums also run over the query heads that share the key and value head of j. The logits are
// z_tj = scale <q_t, k_j>, g is the gradient of the output y, and D_t is <g_t, y_t>, minus the
// gradient of logSumExp_t if there is one. Without V-scale f = 1 and dv_j = u_j. With V-scale u is
// the gradient of the scaled value, r_j = |v_j|², phi = r / (r + C), and
//
//   dv_j = phi u_j + 2 C / (r + C)² <v_j, u_j> v_j     dC = - sum_j r_j / (r_j + C)² <v_j, u_j>
//
// In mode "full" f = phi; in mode "backward-only" the forward used v itself, so f = 1. The terms of
// dC replace this workgroup's entries of `valve`; v_scale/constant_gradient.wgsl sums them.
//
// One workgroup computes 32 keys of one key and value head. For every query head that shares this
// head it walks the query tiles from the diagonal to the end. Dispatch: (ceil(T / 32), Hkv, B).
// Invocation (x, y) owns the keys 4x..4x+3; it computes a_tj and dz_tj with the queries 4y..4y+3,
// shares them, and accumulates the vec4f columns y, y+8, … of its keys' gradients.
//
// Barriers: two per query tile, before and after `weights` and `logitGradients` are read; one for
// V-scale. Masked queries are never added, not even times zero: a NaN in an earlier row's gradient
// must not reach a later key.
//
// Source: Dao, arXiv 2307.08691, algorithm 2; V-scale: Chen, Lin, Yao, arXiv 2603.17771.

@group(0) @binding(1) var<storage, read> query: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(4) var<storage, read> outputGradient: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>; // [B, Hq, T] of (logSumExp, D_t)
@group(0) @binding(6) var<storage, read_write> valve: array<vec2f>; // [B, Hkv, T]: in (r, C), out (term of dC, 0)
@group(0) @binding(7) var<storage, read_write> keyGradient: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(8) var<storage, read_write> valueGradient: array<vec4f>; // [B, Hkv, T, D]

var<workgroup> weights: array<vec4f, TILE * LANES>; // [query][x]: the weights of the four keys
var<workgroup> logitGradients: array<vec4f, TILE * LANES>; // [query][x]: dz for the four keys
var<workgroup> partial: array<vec4f, LANES * LANES>; // [y][x]: one number for each of the four keys

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
  let tiles = workgroups.x;
  let keyTile = workgroup.x; // tile 0 starts first: its keys have the most queries
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y;
  let last = vec4u(length - 1u);
  let position = keyTile * TILE + 4u * x + FOUR;
  let keyIndex = keyHead * length + min(position, last);
  let keyRow = keyIndex * vectors;

  var factors = vec4f(1.0);
  if (parameters.vScale == V_SCALE_FULL) {
    for (var i = 0u; i < 4u; i++) {
      factors[i] = valveFactor(valve[keyIndex[i]]);
    }
  }
  var runningKey: array<mat4x4f, COLUMNS_PER_LANE>;
  var runningValue: array<mat4x4f, COLUMNS_PER_LANE>;

  for (var member = 0u; member < groupSize; member++) {
    let queryHead = workgroup.z * parameters.queryHeads + workgroup.y * groupSize + member;
    for (var queryTile = keyTile; queryTile < tiles; queryTile++) {
      let diagonal = queryTile == keyTile;
      let queryPosition = queryTile * TILE + 4u * y + FOUR;
      let queryIndex = queryHead * length + min(queryPosition, last);
      let queryRow = queryIndex * vectors;

      if (!diagonal || y >= x) {
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
          let v = mat4x4f(
            value[keyRow.x + c], value[keyRow.y + c], value[keyRow.z + c], value[keyRow.w + c]);
          weightGradients += transpose(v) * g;
        }
        for (var k = 0u; k < 4u; k++) {
          let statistics = rowStatistics[queryIndex[k]];
          let weight = exponential(parameters.scale * scores[k] - vec4f(statistics.x));
          weights[(4u * y + k) * LANES + x] = weight;
          logitGradients[(4u * y + k) * LANES + x] =
            weight * (factors * weightGradients[k] - vec4f(statistics.y));
        }
      }
      workgroupBarrier();

      let tileStart = queryTile * TILE;
      let end = min(TILE, length - tileStart); // the number of existing queries
      for (var n = 0u; n < columnsPerLane(); n++) {
        let c = y + n * LANES;
        if (c < vectors) {
          var valueSum = runningValue[n];
          var keySum = runningKey[n];
          let firstRow = queryHead * length + tileStart;
          if (diagonal) { // of the four queries on the diagonal, i to 3 see key i
            for (var j = 4u * x; j < min(4u * x + 4u, end); j++) {
              let weight = weights[j * LANES + x];
              let d = logitGradients[j * LANES + x];
              let g = outputGradient[(firstRow + j) * vectors + c];
              let q = query[(firstRow + j) * vectors + c];
              for (var i = 0u; i < 4u; i++) {
                let seen = 4u * x + i <= j;
                valueSum[i] += select(vec4f(0.0), weight[i] * g, seen);
                keySum[i] += select(vec4f(0.0), d[i] * q, seen);
              }
            }
          }
          let whole = select(0u, 4u * x + 4u, diagonal); // the first query that sees all four keys
          for (var j = whole; j < end; j++) {
            let weight = weights[j * LANES + x];
            let d = logitGradients[j * LANES + x];
            let g = outputGradient[(firstRow + j) * vectors + c];
            let q = query[(firstRow + j) * vectors + c];
            valueSum += mat4x4f(weight.x * g, weight.y * g, weight.z * g, weight.w * g);
            keySum += mat4x4f(d.x * q, d.y * q, d.z * q, d.w * q);
          }
          runningValue[n] = valueSum;
          runningKey[n] = keySum;
        }
      }
      workgroupBarrier();
    }
  }

  // The value gradient is the transpose of V-scale's Jacobian times u. The Jacobian is symmetric,
  // so its transpose is the Jacobian itself.
  var along = vec4f(0.0); // 2 C / (r + C)² <v, u> of the four keys
  if (parameters.vScale != 0u) {
    var share = vec4f(0.0);
    for (var n = 0u; n < columnsPerLane(); n++) {
      let c = y + n * LANES;
      if (c < vectors) {
        for (var i = 0u; i < 4u; i++) {
          share[i] += dot(value[keyRow[i] + c], runningValue[n][i]);
        }
      }
    }
    partial[y * LANES + x] = share;
    let v0 = valve[keyIndex.x];
    let v1 = valve[keyIndex.y];
    let v2 = valve[keyIndex.z];
    let v3 = valve[keyIndex.w];
    workgroupBarrier(); // now all invocations have read `valve`, which is overwritten below
    var product = vec4f(0.0);
    for (var l = 0u; l < LANES; l++) {
      product += partial[l * LANES + x];
    }
    let constant = vec4f(v0.y, v1.y, v2.y, v3.y);
    let sum = vec4f(v0.x, v1.x, v2.x, v3.x) + constant;
    factors = vec4f(valveFactor(v0), valveFactor(v1), valveFactor(v2), valveFactor(v3));
    along = 2.0 * (constant / sum) / sum * product; // never (r + C)², which overflows first
    if (y == 0u) {
      for (var i = 0u; i < 4u; i++) {
        if (position[i] < length) {
          valve[keyIndex[i]] = vec2f(-factors[i] / sum[i] * product[i], 0.0);
        }
      }
    }
  }

  for (var i = 0u; i < 4u; i++) {
    if (position[i] < length) {
      for (var n = 0u; n < columnsPerLane(); n++) {
        let c = y + n * LANES;
        if (c < vectors) {
          keyGradient[keyRow[i] + c] = parameters.scale * runningKey[n][i];
          var gradient = runningValue[n][i];
          if (parameters.vScale != 0u) {
            gradient = factors[i] * gradient + along[i] * value[keyRow[i] + c];
          }
          valueGradient[keyRow[i] + c] = gradient;
        }
      }
    }
  }
}
