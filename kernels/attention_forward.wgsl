// Fused causal attention, forward, with online softmax. Needs attention_tile.wgsl in front.
//
//   z_tj = scale <q_t, k_j>  for j <= t        a_t = softmax(z_t)        y_t = sum_{j<=t} a_tj f_j v_j
//   logSumExp_t = log sum_{j<=t} exp(z_tj)     f_j = 1, or with V-scale f_j = r_j / (r_j + C), r_j = |v_j|²
//
// Query head h reads key and value head h / (Hq / Hkv).
//
// One workgroup computes 32 query rows of one head and walks the key tiles up to the diagonal; tiles beyond it
// are never touched. Dispatch: (ceil(T / 32), Hq, B). Invocation (x, y) owns the query rows 4x..4x+3 of the
// tile: it computes their scores against the keys 4y..4y+3, shares the weights through workgroup memory, and
// accumulates the output columns y, y+8, y+16, … (in vec4f) of its rows.
//
// Barriers: two a key tile. The first stands between writing and reading `partial`, the second between writing
// and reading `weights`; each also keeps the next tile from overwriting what a slower invocation still reads.
//
// A masked key is never multiplied, not even by zero: a NaN in a later value must not reach an earlier row.
//
// Source: Milakov and Gimelshein, arXiv 1805.02867 (online softmax); Dao, arXiv 2307.08691 (FlashAttention-2).

const MASKED: f32 = -3.4e38; // finite: a shader compiler may assume that there are no infinities

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(4) var<storage, read> valve: array<vec2f>; // [B, Hkv, T] of (r, C); read with V-scale "full" only
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(6) var<storage, read_write> logSumExp: array<f32>; // [B, Hq, T], natural logarithm

var<workgroup> partial: array<vec4f, LANES * LANES>; // [y][x]: one number for each of the four rows
var<workgroup> weights: array<vec4f, TILE * LANES>; // [row][block of four keys]

fn maximum(v: vec4f) -> f32 {
  return max(max(v.x, v.y), max(v.z, v.w));
}

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
  // The longest rows start first, so that none of them is left to run alone at the end.
  let queryTile = workgroups.x - 1u - workgroup.x;
  let queryHead = workgroup.z * parameters.queryHeads + workgroup.y;
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y / groupSize;
  // Rows past the end read the last row instead; they are not written.
  let last = vec4u(length - 1u);
  let position = queryTile * TILE + 4u * x + FOUR;
  let queryRow = (queryHead * length + min(position, last)) * vectors;

  var runningMaximum = vec4f(MASKED);
  var runningSum = vec4f(0.0); // over this invocation's keys only; summed over y at the end
  var running: array<mat4x4f, COLUMNS_PER_LANE>;

  for (var keyTile = 0u; keyTile <= queryTile; keyTile++) {
    let diagonal = keyTile == queryTile;
    let keyPosition = keyTile * TILE + 4u * y + FOUR;
    let keyIndex = keyHead * length + min(keyPosition, last);
    let keyRow = keyIndex * vectors;

    // Blocks above the diagonal stay masked.
    var scores = mat4x4f(vec4f(MASKED), vec4f(MASKED), vec4f(MASKED), vec4f(MASKED));
    if (!diagonal || y <= x) {
      var product = mat4x4f();
      for (var c = 0u; c < vectors; c++) {
        let q = mat4x4f(
          query[queryRow.x + c], query[queryRow.y + c], query[queryRow.z + c], query[queryRow.w + c]);
        let k = mat4x4f(key[keyRow.x + c], key[keyRow.y + c], key[keyRow.z + c], key[keyRow.w + c]);
        product += transpose(k) * q;
      }
      for (var i = 0u; i < 4u; i++) {
        scores[i] = select(
          vec4f(MASKED), parameters.scale * product[i], keyPosition <= vec4u(position[i]));
      }
    }

    partial[y * LANES + x] =
      vec4f(maximum(scores[0]), maximum(scores[1]), maximum(scores[2]), maximum(scores[3]));
    workgroupBarrier();
    var newMaximum = runningMaximum;
    for (var l = 0u; l < LANES; l++) {
      newMaximum = max(newMaximum, partial[l * LANES + x]);
    }
    let correction = exp(runningMaximum - newMaximum);
    runningMaximum = newMaximum;

    var factors = vec4f(1.0);
    if (parameters.vScale == V_SCALE_FULL) {
      factors = valveFactors(
        valve[keyIndex.x], valve[keyIndex.y], valve[keyIndex.z], valve[keyIndex.w]);
    }
    var sum = vec4f(0.0);
    for (var i = 0u; i < 4u; i++) {
      let weight = select(
        vec4f(0.0), exp(scores[i] - vec4f(newMaximum[i])), keyPosition <= vec4u(position[i]));
      sum[i] = dot(weight, vec4f(1.0));
      weights[(4u * x + i) * LANES + y] = weight * factors;
    }
    runningSum = runningSum * correction + sum;
    workgroupBarrier();

    for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
      for (var i = 0u; i < 4u; i++) {
        running[n][i] *= correction[i];
      }
    }
    let blocks = select(LANES, x, diagonal); // those that all four rows see whole
    for (var block = 0u; block < blocks; block++) {
      let row = 4u * x * LANES + block;
      let p = mat4x4f(
        weights[row], weights[row + LANES], weights[row + 2u * LANES], weights[row + 3u * LANES]);
      let valueRow = (keyHead * length + keyTile * TILE + 4u * block + FOUR) * vectors;
      for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
        let c = y + n * LANES;
        if (c < vectors) {
          running[n] += mat4x4f(
            value[valueRow.x + c], value[valueRow.y + c],
            value[valueRow.z + c], value[valueRow.w + c]) * p;
        }
      }
    }
    if (diagonal) { // the block that the diagonal cuts: row i sees its keys 0..i
      let row = 4u * x * LANES + x;
      let p0 = weights[row];
      let p1 = weights[row + LANES];
      let p2 = weights[row + 2u * LANES];
      let p3 = weights[row + 3u * LANES];
      let valueRow = (keyHead * length + min(position, last)) * vectors;
      for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
        let c = y + n * LANES;
        if (c < vectors) {
          let v0 = value[valueRow.x + c];
          let v1 = value[valueRow.y + c];
          let v2 = value[valueRow.z + c];
          let v3 = value[valueRow.w + c];
          running[n][0] += v0 * p0.x;
          running[n][1] += v0 * p1.x + v1 * p1.y;
          running[n][2] += v0 * p2.x + v1 * p2.y + v2 * p2.z;
          running[n][3] += v0 * p3.x + v1 * p3.y + v2 * p3.z + v3 * p3.w;
        }
      }
    }
  }

  partial[y * LANES + x] = runningSum;
  workgroupBarrier();
  var denominator = vec4f(0.0);
  for (var l = 0u; l < LANES; l++) {
    denominator += partial[l * LANES + x];
  }
  for (var i = 0u; i < 4u; i++) {
    if (position[i] < length) {
      for (var n = 0u; n < COLUMNS_PER_LANE; n++) {
        let c = y + n * LANES;
        if (c < vectors) {
          output[queryRow[i] + c] = running[n][i] / denominator[i];
        }
      }
      if (y == 0u) {
        logSumExp[queryHead * length + position[i]] = runningMaximum[i] + log(denominator[i]);
      }
    }
  }
}
