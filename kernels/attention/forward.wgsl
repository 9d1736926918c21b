// Fused causal attention, forward, with online softmax: the portable kernel. GPUs usually run
// attention/tiled/forward.wgsl.ts. Needs not_a_number.wgsl, attention/tile.wgsl, and
// attention/sink/forward.wgsl or attention/sink/none.wgsl in front.
//
//   z_tj = scale <q_t, k_j>  for j <= t     a_t = softmax(z_t)     y_t = sum_{j<=t} a_tj f_j v_j
//   logSumExp_t = log sum_{j<=t} exp(z_tj)
//   f_j = 1, or with V-scale "full" f_j = r_j / (r_j + C), r_j = |v_j|²
//
// A learned sink is one more logit of the softmax and of logSumExp; it has no value. Query head h
// reads key and value head h / (Hq / Hkv), rounded down.
//
// One workgroup computes 32 query rows of one head and walks the key tiles up to the diagonal;
// tiles beyond it are never touched. Dispatch: (ceil(T / 32), Hq, B). Invocation (x, y) owns the
// query rows 4x..4x+3 of the tile: it computes their scores against the keys 4y..4y+3, shares the
// weights through workgroup memory, and accumulates the vec4f columns y, y+8, … of its rows'
// output.
//
// Barriers: two per key tile. The first separates writing and reading `partial`, the second writing
// and reading `weights`. Each also keeps the next tile from overwriting numbers that a slower
// invocation still reads. One more barrier at the end, for the sums of the weights.
//
// A masked value is never added, not even times zero: a NaN in a later value must not reach an
// earlier row.
//
// Source: Milakov and Gimelshein, arXiv 1805.02867 (online softmax); Dao, arXiv 2307.08691
// (FlashAttention-2).

const MASKED: f32 = -3.4e38; // finite, because compilers may assume that there are no infinities

@group(0) @binding(1) var<storage, read> query: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(4) var<storage, read> valve: array<vec2f>; // [B, Hkv, T] of (r, C); read with V-scale "full" only
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(6) var<storage, read_write> logSumExp: array<f32>; // [B, Hq, T], natural logarithm

var<workgroup> partial: array<vec4f, LANES * LANES>; // [y][x]: one number for each of the four rows
var<workgroup> weights: array<vec4f, TILE * LANES>; // [key][x]: the weights of the four rows

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
  // The last tile starts first, because its rows have the most keys. If it started last, it could
  // still run when all other tiles are done.
  let queryTile = workgroups.x - 1u - workgroup.x;
  let queryHead = workgroup.z * parameters.queryHeads + workgroup.y;
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y / groupSize;
  // A row past the end of the sequence reads the last row's query, and its result is not written.
  let last = vec4u(length - 1u);
  let position = queryTile * TILE + 4u * x + FOUR;
  let queryRow = (queryHead * length + min(position, last)) * vectors;

  var runningMaximum = vec4f(firstMaximum(workgroup.y));
  // Each invocation adds up the weights of its own keys, and the invocation with y = 0 also the
  // sink's weight. At the end the kernel adds up the sums of all y.
  var runningSum = vec4f(select(0.0, firstSum(workgroup.y), y == 0u));
  var running: array<mat4x4f, COLUMNS_PER_LANE>;

  for (var keyTile = 0u; keyTile <= queryTile; keyTile++) {
    let diagonal = keyTile == queryTile;
    let keyPosition = keyTile * TILE + 4u * y + FOUR;
    let keyIndex = keyHead * length + min(keyPosition, last);
    let keyRow = keyIndex * vectors;

    var scores = mat4x4f(); // of four keys
    if (!diagonal || y <= x) {
      for (var c = 0u; c < vectors; c++) {
        let q = mat4x4f(
          query[queryRow.x + c], query[queryRow.y + c], query[queryRow.z + c], query[queryRow.w + c]);
        let k = mat4x4f(key[keyRow.x + c], key[keyRow.y + c], key[keyRow.z + c], key[keyRow.w + c]);
        scores += transpose(q) * k;
      }
    }

    var tileMaximum = vec4f(MASKED);
    for (var k = 0u; k < 4u; k++) {
      scores[k] = select(vec4f(MASKED), parameters.scale * scores[k], position >= vec4u(keyPosition[k]));
      tileMaximum = max(tileMaximum, scores[k]);
    }
    partial[y * LANES + x] = tileMaximum;
    workgroupBarrier();
    var newMaximum = runningMaximum;
    for (var l = 0u; l < LANES; l++) {
      newMaximum = max(newMaximum, partial[l * LANES + x]);
    }
    let correction = exp(runningMaximum - newMaximum);
    runningMaximum = newMaximum;

    runningSum *= correction;
    for (var k = 0u; k < 4u; k++) {
      let weight = select(
        vec4f(0.0), exponential(scores[k] - newMaximum), position >= vec4u(keyPosition[k]));
      runningSum += weight;
      var factor = 1.0;
      if (parameters.vScale == V_SCALE_FULL) {
        factor = valveFactor(valve[keyIndex[k]]);
      }
      weights[(4u * y + k) * LANES + x] = factor * weight;
    }
    workgroupBarrier();

    for (var n = 0u; n < columnsPerLane(); n++) {
      let c = y + n * LANES;
      if (c < vectors) {
        var sum = running[n];
        for (var i = 0u; i < 4u; i++) {
          sum[i] *= correction[i];
        }
        let firstRow = keyHead * length + keyTile * TILE;
        let whole = select(TILE, 4u * x, diagonal); // keys that all four rows see
        for (var j = 0u; j < whole; j++) {
          let weight = weights[j * LANES + x];
          let v = value[(firstRow + j) * vectors + c];
          sum += mat4x4f(weight.x * v, weight.y * v, weight.z * v, weight.w * v);
        }
        if (diagonal) { // row i sees the first i + 1 of the four keys on the diagonal
          for (var k = 0u; k < 4u; k++) {
            let weight = weights[(4u * x + k) * LANES + x];
            let v = value[(keyHead * length + min(position[k], length - 1u)) * vectors + c];
            for (var i = 0u; i < 4u; i++) {
              sum[i] += select(vec4f(0.0), weight[i] * v, i >= k);
            }
          }
        }
        running[n] = sum;
      }
    }
  }

  partial[y * LANES + x] = runningSum;
  workgroupBarrier();
  var denominator = vec4f(0.0);
  for (var l = 0u; l < LANES; l++) {
    denominator += partial[l * LANES + x];
  }
  let logarithm = passNotANumber(log(denominator), denominator);
  for (var i = 0u; i < 4u; i++) {
    if (position[i] < length) {
      for (var n = 0u; n < columnsPerLane(); n++) {
        let c = y + n * LANES;
        if (c < vectors) {
          output[queryRow[i] + c] = running[n][i] / denominator[i];
        }
      }
      if (y == 0u) {
        logSumExp[queryHead * length + position[i]] = runningMaximum[i] + logarithm[i];
      }
    }
  }
}
