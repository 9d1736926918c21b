/**
 * Attention backward, queryGradient, for adapters that compute on the CPU and have subgroups: the formulas of
 * attention_backward_query.wgsl, in base 2, on the tiles of attention_forward_subgroup.wgsl.ts.
 *
 * One subgroup is a workgroup and computes R query rows of one head, walking key tiles of 4 · S keys up to the
 * diagonal. A lane holds dz of four keys of the tile, one vec4f a row, then the vec4f columns l, l + S, … of
 * every row's gradient. No barrier, no workgroup memory. Masked keys are never multiplied.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2, split into two passes so that no sum needs atomics.
 */
import {
  accumulateFour,
  accumulateSeen,
  type AttentionSubgroupOptions,
  chunksOf,
  ownRows,
  productStep,
} from "./attention_subgroup_tile.ts";
import { unroll } from "./unroll.ts";

/**
 * Writes the kernel.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4 outputGradient
 * [B, Hq, T, D]; 5 rowStatistics [B, Hq, T] of (logSumExp, D); 6 valve [B, Hkv, T] of (r, C), read with V-scale
 * "full" only; 7 queryGradient [B, Hq, T, D]. Dispatch: (⌈T / R⌉, Hq, B).
 *
 * @param options the tile
 * @returns WGSL, for the feature `subgroups`
 */
export function attentionBackwardQuerySubgroup(options: AttentionSubgroupOptions): string {
  const { subgroupSize: S, rows: R } = options;
  const chunks = chunksOf(options);
  const eachRow = (line: (r: number) => string) => unroll(R, line);
  const eachChunk = (line: (c: number) => string) => unroll(chunks.count, line);
  return `
const LOG2_E: f32 = 1.4426950408889634;

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  scale: f32,
  vScaleFull: u32, // 1: factors come from valve
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> outputGradient: array<vec4f>;
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>;
@group(0) @binding(6) var<storage, read> valve: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> queryGradient: array<vec4f>;

@compute @workgroup_size(${S})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let length = parameters.sequenceLength;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let firstRow = (workgroups.x - 1u - workgroup.x) * ${R}u; // the longest rows first
  let queryHead = workgroup.z * parameters.queryHeads + workgroup.y;
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y / groupSize;
  let scale = parameters.scale * LOG2_E;
  ${ownRows("queryRow", options, "queryHead")}
  ${
    unroll(R / S, (i) =>
      `let own${i} = rowStatistics[queryRow${i} / ${chunks.vectors}u] * vec2f(LOG2_E, 1.0);`)
  }
  ${eachRow((r) => `let statistics${r} = subgroupBroadcast(own${Math.floor(r / S)}, ${r % S}u);`)}
  ${eachChunk((c) => eachRow((r) => `var running${c}_${r} = vec4f(0.0);`))}

  let lastTile = min(firstRow + ${R - 1}u, length - 1u) / ${4 * S}u;
  for (var tile = 0u; tile <= lastTile; tile++) {
    let firstKey = tile * ${4 * S}u;
    let position = firstKey + 4u * lane + vec4u(0u, 1u, 2u, 3u);
    let columnIndex = keyHead * length + min(position, vec4u(length - 1u));
    let columnRow = columnIndex * ${chunks.vectors}u;
    ${eachRow((r) => `var score${r} = vec4f(0.0); var weightGradient${r} = vec4f(0.0);`)}
    for (var d = 0u; d < ${chunks.vectors}u; d++) {
      ${productStep(options, { sum: "score", rows: ["query", "queryRow"], columns: "key" })}
      ${
    productStep(options, {
      sum: "weightGradient",
      rows: ["outputGradient", "queryRow"],
      columns: "value",
    })
  }
    }
    var factors = vec4f(1.0);
    if (parameters.vScaleFull == 1u) {
      for (var i = 0u; i < 4u; i++) {
        let v = valve[columnIndex[i]];
        factors[i] = v.x / (v.x + v.y);
      }
    }
    ${
    eachRow((r) => `
    let logitGradient${r} = exponential2(scale * score${r} - statistics${r}.x)
      * (factors * weightGradient${r} - statistics${r}.y);`)
  }

    // Lanes whose four keys all rows see; then the keys that only the later rows see.
    let diagonal = firstKey + ${4 * S - 1}u > firstRow;
    let whole = select(${S}u, (firstRow - min(firstRow, firstKey)) / 4u, diagonal);
    let end = min(min(firstRow + ${R}u, length) - firstKey, ${4 * S}u);
    ${
    eachChunk((c) => `
    {
      let first = (keyHead * length + firstKey) * ${chunks.vectors}u + ${chunks.column(c)};
      for (var source = 0u; source < whole; source++) {
        let row = first + source * ${4 * chunks.vectors}u;
        ${unroll(4, (j) => `let key${j} = key[row + ${j * chunks.vectors}u];`)}
        ${
      accumulateFour(options, {
        running: `running${c}_`,
        weight: "logitGradient",
        values: "key",
      })
    }
      }
    }`)
  }
    if (diagonal) {
      for (var k = 4u * whole; k < end; k++) {
        let first = (keyHead * length + firstKey + k) * ${chunks.vectors}u;
        ${eachChunk((c) => `let keySeen${c} = key[first + ${chunks.column(c)}];`)}
        ${
    accumulateSeen(options, {
      running: "running",
      weight: "logitGradient",
      value: "keySeen",
      seen: (r) => `firstKey + k <= firstRow + ${r}u`,
    })
  }
      }
    }
  }

  ${
    eachRow((r) => `
  if (firstRow + ${r}u < length) {
    let index = (queryHead * length + firstRow + ${r}u) * ${chunks.vectors}u;
    ${
      eachChunk((c) => `
    if (${chunks.holds(c)}) {
      queryGradient[index + ${chunks.column(c)}] = parameters.scale * running${c}_${r};
    }`)
    }
  }`)
  }
}
`;
}
