/**
 * Fused causal attention, forward, for adapters that compute on the CPU and have subgroups.
 *
 * There a load costs dozens of multiply-adds and a barrier hundreds of cycles, so that everything is held in
 * registers and passed between the lanes of a subgroup. The same formulas as attention_forward.wgsl, in base 2:
 * the query panels carry scale · log2(e).
 *
 * One subgroup is a workgroup and computes `rows` query rows of one head, walking key tiles of 4 · S keys up to
 * the diagonal. Scores: lane l holds the keys 4l..4l+3 of the tile, one vec4f a row, and in a rolled loop over
 * d the lanes broadcast the rows' query numbers to each other. Output: lane l holds the vec4f columns
 * l, l + S, … of every row; the weights come from the lane that holds their key. No barrier, no workgroup memory.
 *
 * Masked keys are never multiplied: those that only some rows see pass through a `select`.
 *
 * Source: Dao, arXiv 2307.08691 (FlashAttention-2).
 */
import { unroll } from "./unroll.ts";

/** What the kernel is made for. */
export interface AttentionForwardSubgroupOptions {
  /** S, the size of every subgroup; divides `rows`. */
  readonly subgroupSize: number;
  /** Query rows of a workgroup. */
  readonly rows: number;
  /** D, a multiple of 4. */
  readonly headDim: number;
}

/**
 * Writes the kernel.
 *
 * Bindings: 0 uniform parameters; 1 query panels [B, Hq, ⌈T/rows⌉, D, rows]; 2 key panels [B, Hkv, ⌈T/4S⌉, D, 4S];
 * 3 value [B, Hkv, T, D]; 4 valve [B, Hkv, T] of (r, C), read with V-scale "full" only; 5 output [B, Hq, T, D];
 * 6 logSumExp [B, Hq, T]. Dispatch: (⌈T/rows⌉, Hq, B).
 *
 * @param options the tile
 * @returns WGSL, for the feature `subgroups`
 */
export function attentionForwardSubgroup(options: AttentionForwardSubgroupOptions): string {
  const { subgroupSize: S, rows: R, headDim: D } = options;
  const vectors = D / 4;
  const chunks = Math.ceil(vectors / S);
  const eachRow = (line: (r: number) => string) => unroll(R, line);
  const eachChunk = (line: (c: number) => string) => unroll(chunks, line);
  return `
const MASKED: f32 = -3.4e38;
const LN_2: f32 = 0.6931471805599453;

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  scale: f32, // times log2(e)
  vScaleFull: u32, // 1: factors come from valve
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> valve: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> logSumExp: array<f32>;

fn maximum(v: vec4f) -> f32 {
  return max(max(v.x, v.y), max(v.z, v.w));
}

@compute @workgroup_size(${S})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let length = parameters.sequenceLength;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let rowTile = workgroups.x - 1u - workgroup.x; // the longest rows first
  let firstRow = rowTile * ${R}u;
  let queryHead = workgroup.z * parameters.queryHeads + workgroup.y;
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y / groupSize;
  ${
    unroll(R / S, (i) =>
      `let queryRow${i} = (queryHead * length + min(firstRow + ${
        i * S
      }u + lane, length - 1u)) * ${vectors}u;`)
  }

  ${eachRow((r) => `var maximum${r} = MASKED; var sum${r} = 0.0;`)}
  ${eachChunk((c) => eachRow((r) => `var running${c}_${r} = vec4f(0.0);`))}

  let lastTile = min(firstRow + ${R - 1}u, length - 1u) / ${4 * S}u;
  for (var tile = 0u; tile <= lastTile; tile++) {
    let firstKey = tile * ${4 * S}u;
    let position = firstKey + 4u * lane + vec4u(0u, 1u, 2u, 3u);
    let keyIndex = keyHead * length + min(position, vec4u(length - 1u));
    let keyRow = keyIndex * ${vectors}u;
    ${eachRow((r) => `var score${r} = vec4f(0.0);`)}
    for (var d = 0u; d < ${vectors}u; d++) {
      ${unroll(4, (j) => `let k${j} = key[keyRow.${"xyzw"[j]} + d];`)}
      ${
    unroll(4, (e) => {
      const component = "xyzw"[e];
      return `let column${e} = vec4f(k0.${component}, k1.${component}, k2.${component}, k3.${component});`;
    })
  }
      ${unroll(R / S, (i) => `let q${i} = query[queryRow${i} + d];`)}
      ${
    eachRow((r) => `
      let b${r} = subgroupBroadcast(q${Math.floor(r / S)}, ${r % S}u);
      score${r} += b${r}.x * column0 + b${r}.y * column1 + b${r}.z * column2 + b${r}.w * column3;`)
  }
    }

    ${eachRow((r) => `score${r} *= parameters.scale;`)}
    let diagonal = firstKey + ${4 * S - 1}u > firstRow; // some row does not see all keys
    if (diagonal) {
      ${
    eachRow((r) =>
      `score${r} = select(vec4f(MASKED), score${r}, position <= vec4u(firstRow + ${r}u));`
    )
  }
    }
    var factors = vec4f(1.0);
    if (parameters.vScaleFull == 1u) {
      for (var i = 0u; i < 4u; i++) {
        let v = valve[keyIndex[i]];
        factors[i] = v.x / (v.x + v.y);
      }
    }
    ${
    eachRow((r) => `
    let newMaximum${r} = max(maximum${r}, subgroupMax(maximum(score${r})));
    let correction${r} = exp2(maximum${r} - newMaximum${r});
    maximum${r} = newMaximum${r};
    var weight${r} = exp2(score${r} - newMaximum${r});`)
  }
    if (diagonal) {
      ${
    eachRow((r) =>
      `weight${r} = select(vec4f(0.0), weight${r}, position <= vec4u(firstRow + ${r}u));`
    )
  }
    }
    ${
    eachRow((r) => `
    sum${r} = sum${r} * correction${r} + dot(weight${r}, vec4f(1.0));
    weight${r} *= factors;
    ${unroll(chunks, (c) => `running${c}_${r} *= correction${r};`, " ")}`)
  }

    let whole = select(${S}u, (firstRow - min(firstRow, firstKey)) / 4u, diagonal);
    ${
    eachChunk((c) => `
    {
      let column = ${columnOf(c, { S, vectors })};
      for (var source = 0u; source < whole; source++) {
        let valueRow = (keyHead * length + firstKey + 4u * source) * ${vectors}u + column;
        ${unroll(4, (j) => `let v${j} = value[valueRow + ${j * vectors}u];`)}
        ${
      eachRow((r) => `
        let w${r} = subgroupShuffle(weight${r}, source);
        running${c}_${r} += w${r}.x * v0 + w${r}.y * v1 + w${r}.z * v2 + w${r}.w * v3;`)
    }
      }
      if (diagonal) { // keys that only the later rows see
        let end = min(firstRow + ${R}u, length) - firstKey;
        for (var k = 4u * whole; k < min(end, ${4 * S}u); k++) {
          let v = value[(keyHead * length + firstKey + k) * ${vectors}u + column];
          ${
      eachRow((r) => `
          running${c}_${r} += select(vec4f(0.0),
            subgroupShuffle(weight${r}[k % 4u], k / 4u) * v, firstKey + k <= firstRow + ${r}u);`)
    }
        }
      }
    }`)
  }
  }

  ${
    eachRow((r) => `
  {
    let row = firstRow + ${r}u;
    let total = subgroupAdd(sum${r});
    if (row < length) {
      let index = queryHead * length + row;
      ${
      eachChunk((c) => `
      if (lane + ${c * S}u < ${vectors}u) {
        output[index * ${vectors}u + lane + ${c * S}u] = running${c}_${r} / total;
      }`)
    }
      if (lane == 0u) {
        logSumExp[index] = (maximum${r} + log2(total)) * LN_2;
      }
    }
  }`)
  }
}
`;
}

// The vec4f column that a lane holds; lanes past the end read the last one and do not write.
function columnOf(chunk: number, { S, vectors }: { S: number; vectors: number }): string {
  const column = `lane + ${chunk * S}u`;
  return (chunk + 1) * S <= vectors ? column : `min(${column}, ${vectors - 1}u)`;
}
