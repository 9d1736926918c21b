// Attention backward, keyGradient and valueGradient. Needs attention_tile.wgsl in front.
//
//   a_tj = exp(z_tj - logSumExp_t)                     dz_tj = a_tj (f_j <g_t, v_j> - D_t)
//   dk_j = scale sum_{t>=j} dz_tj q_t                  u_j = sum_{t>=j} a_tj g_t
//
// summed over the query heads that share key and value head j belongs to. Without V-scale f = 1 and dv_j = u_j.
// With it u is the gradient of the scaled value, r_j = |v_j|², phi = r / (r + C), and
//
//   dv_j = phi u_j + 2 C / (r + C)² <v_j, u_j> v_j     dC = - sum_j r_j / (r_j + C)² <v_j, u_j>
//
// (mode "full": f = phi; mode "backward-only": the forward used v itself, so f = 1.) The terms of dC replace
// this workgroup's entries of `valve`; v_scale_constant_gradient.wgsl sums them.
//
// One workgroup computes 32 keys of one key and value head; for every query head of the group it walks the query
// tiles from the diagonal to the end. Dispatch: (ceil(T / 32), Hkv, B). Invocation (x, y) owns the keys
// 4x..4x+3; it computes a and dz against the queries 4y..4y+3 (here a block's rows are keys), shares them, and
// accumulates the columns y, y+8, … of its keys' gradients.
//
// Barriers: two a query tile, before and after `weights` and `logitGradients` are read; one for V-scale.
// Masked queries are never multiplied: a NaN in an earlier row's gradient must not reach a later key.
//
// Source: Dao, arXiv 2307.08691, algorithm 2; V-scale: Chen, Lin, Yao, arXiv 2603.17771.

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(4) var<storage, read> outputGradient: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>; // [B, Hq, T] of (logSumExp, D)
@group(0) @binding(6) var<storage, read_write> valve: array<vec2f>; // [B, Hkv, T]: in (r, C), out (term of dC, 0)
@group(0) @binding(7) var<storage, read_write> keyGradient: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(8) var<storage, read_write> valueGradient: array<vec4f>; // [B, Hkv, T, D]

var<workgroup> weights: array<vec4f, TILE * LANES>; // [key][block of four queries]
var<workgroup> logitGradients: array<vec4f, TILE * LANES>; // [key][block of four queries]
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
  let keyTile = workgroup.x; // the first keys have the most queries: longest first already
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y;
  let last = vec4u(length - 1u);
  let position = keyTile * TILE + 4u * x + FOUR;
  let keyIndex = keyHead * length + min(position, last);
  let keyRow = keyIndex * vectors;

  var factors = vec4f(1.0);
  if (parameters.vScale == V_SCALE_FULL) {
    factors = valveFactors(
      valve[keyIndex.x], valve[keyIndex.y], valve[keyIndex.z], valve[keyIndex.w]);
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
          scores += transpose(q) * k;
          let g = mat4x4f(
            outputGradient[queryRow.x + c], outputGradient[queryRow.y + c],
            outputGradient[queryRow.z + c], outputGradient[queryRow.w + c]);
          let v = mat4x4f(
            value[keyRow.x + c], value[keyRow.y + c], value[keyRow.z + c], value[keyRow.w + c]);
          weightGradients += transpose(g) * v;
        }
        let s0 = rowStatistics[queryIndex.x];
        let s1 = rowStatistics[queryIndex.y];
        let s2 = rowStatistics[queryIndex.z];
        let s3 = rowStatistics[queryIndex.w];
        let exists = queryPosition <= last; // queries past the end weigh nothing
        for (var i = 0u; i < 4u; i++) {
          let weight = select(
            vec4f(0.0), exp(parameters.scale * scores[i] - vec4f(s0.x, s1.x, s2.x, s3.x)), exists);
          weights[(4u * x + i) * LANES + y] = weight;
          logitGradients[(4u * x + i) * LANES + y] =
            weight * (factors[i] * weightGradients[i] - vec4f(s0.y, s1.y, s2.y, s3.y));
        }
      }
      workgroupBarrier();

      let firstBlock = select(0u, x + 1u, diagonal); // of those whose queries see all four keys
      for (var block = firstBlock; block < LANES; block++) {
        let row = 4u * x * LANES + block;
        let p = mat4x4f(
          weights[row], weights[row + LANES], weights[row + 2u * LANES], weights[row + 3u * LANES]);
        let d = mat4x4f(
          logitGradients[row], logitGradients[row + LANES],
          logitGradients[row + 2u * LANES], logitGradients[row + 3u * LANES]);
        let blockPosition = queryTile * TILE + 4u * block + FOUR;
        let blockRow = (queryHead * length + min(blockPosition, last)) * vectors;
        for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
          let c = y + n * LANES;
          if (c < vectors) {
            runningValue[n] += mat4x4f(
              outputGradient[blockRow.x + c], outputGradient[blockRow.y + c],
              outputGradient[blockRow.z + c], outputGradient[blockRow.w + c]) * p;
            runningKey[n] += mat4x4f(
              query[blockRow.x + c], query[blockRow.y + c],
              query[blockRow.z + c], query[blockRow.w + c]) * d;
          }
        }
      }
      if (diagonal) { // the block that the diagonal cuts: key i is seen by its queries i..3
        let row = 4u * x * LANES + x;
        let p0 = weights[row];
        let p1 = weights[row + LANES];
        let p2 = weights[row + 2u * LANES];
        let p3 = weights[row + 3u * LANES];
        let d0 = logitGradients[row];
        let d1 = logitGradients[row + LANES];
        let d2 = logitGradients[row + 2u * LANES];
        let d3 = logitGradients[row + 3u * LANES];
        let blockRow = (queryHead * length + min(position, last)) * vectors;
        for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
          let c = y + n * LANES;
          if (c < vectors) {
            let g0 = outputGradient[blockRow.x + c];
            let g1 = outputGradient[blockRow.y + c];
            let g2 = outputGradient[blockRow.z + c];
            let g3 = outputGradient[blockRow.w + c];
            runningValue[n][0] += g0 * p0.x + g1 * p0.y + g2 * p0.z + g3 * p0.w;
            runningValue[n][1] += g1 * p1.y + g2 * p1.z + g3 * p1.w;
            runningValue[n][2] += g2 * p2.z + g3 * p2.w;
            runningValue[n][3] += g3 * p3.w;
            let q0 = query[blockRow.x + c];
            let q1 = query[blockRow.y + c];
            let q2 = query[blockRow.z + c];
            let q3 = query[blockRow.w + c];
            runningKey[n][0] += q0 * d0.x + q1 * d0.y + q2 * d0.z + q3 * d0.w;
            runningKey[n][1] += q1 * d1.y + q2 * d1.z + q3 * d1.w;
            runningKey[n][2] += q2 * d2.z + q3 * d2.w;
            runningKey[n][3] += q3 * d3.w;
          }
        }
      }
      workgroupBarrier();
    }
  }

  // V-scale's Jacobian is symmetric, so its transpose is itself.
  var along = vec4f(0.0); // 2 C / (r + C)² <v, u> of the four keys
  if (parameters.vScale != 0u) {
    var share = vec4f(0.0);
    for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
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
    workgroupBarrier(); // also: everybody has read `valve` before it is overwritten below
    var product = vec4f(0.0);
    for (var l = 0u; l < LANES; l++) {
      product += partial[l * LANES + x];
    }
    let constant = vec4f(v0.y, v1.y, v2.y, v3.y);
    let sum = vec4f(v0.x, v1.x, v2.x, v3.x) + constant;
    factors = valveFactors(v0, v1, v2, v3);
    along = 2.0 * (constant / sum) / sum * product;
    if (y == 0u) {
      let term = -factors / sum * product;
      for (var i = 0u; i < 4u; i++) {
        if (position[i] < length) {
          valve[keyIndex[i]] = vec2f(term[i], 0.0);
        }
      }
    }
  }

  for (var i = 0u; i < 4u; i++) {
    if (position[i] < length) {
      for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
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
