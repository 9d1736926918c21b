/**
 * Attention backward, keyGradient or valueGradient, for adapters that compute on the CPU and have subgroups: the
 * formulas of attention_backward_key_value.wgsl, in base 2, on the tiles of attention_forward_subgroup.wgsl.ts. Both in
 * one kernel would compute the logits once less, but have too many numbers for the registers and take three times as long
 * to compile.
 *
 * One subgroup is a workgroup and computes R keys of one key and value head; for every query head of the group it
 * walks query tiles of 4 · S queries from the diagonal to the end. A lane holds a or dz of four queries of the
 * tile, one vec4f a key, then the vec4f columns l, l + S, … of every key's gradient. No barrier, no workgroup
 * memory. Masked queries are never multiplied.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2; V-scale: Chen, Lin, Yao, arXiv 2603.17771.
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

function writeKey(options: AttentionSubgroupOptions): (row: number) => string {
  const chunks = chunksOf(options);
  return (r) => `
  if (firstRow + ${r}u < length) {
    ${
    unroll(chunks.count, (c) => `
    if (${chunks.holds(c)}) {
      gradient[row${r} * ${chunks.vectors}u + ${
      chunks.column(c)
    }] = parameters.scale * sum${c}_${r};
    }`)
  }
  }`;
}

function writeValue(options: AttentionSubgroupOptions): (row: number) => string {
  const chunks = chunksOf(options);
  const eachChunk = (line: (c: number) => string) => unroll(chunks.count, line);
  return (r) => `
  {
    let index = row${r} * ${chunks.vectors}u;
    var factor = 1.0;
    var along = 0.0; // 2 C / (r + C)² <v, u>
    if (parameters.vScale != 0u) {
      let v = valve[row${r}];
      let sum = v.x + v.y;
      var share = 0.0;
      ${
    eachChunk((c) => `
      share += select(0.0, dot(value[index + ${chunks.column(c)}], sum${c}_${r}), ${
      chunks.holds(c)
    });`)
  }
      let product = subgroupAdd(share);
      factor = v.x / sum;
      along = 2.0 * (v.y / sum) / sum * product;
      if (lane == 0u && firstRow + ${r}u < length) {
        valve[row${r}] = vec2f(-factor / sum * product, 0.0);
      }
    }
    if (firstRow + ${r}u < length) {
      ${
    eachChunk((c) => `
      if (${chunks.holds(c)}) {
        var result = sum${c}_${r};
        if (parameters.vScale != 0u) {
          result = factor * result + along * value[index + ${chunks.column(c)}];
        }
        gradient[index + ${chunks.column(c)}] = result;
      }`)
  }
    }
  }`;
}

/**
 * Writes the kernel.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4 outputGradient
 * [B, Hq, T, D]; 5 rowStatistics [B, Hq, T] of (logSumExp, D); 6 valve [B, Hkv, T] of (r, C), which the kernel for
 * values replaces by (term of dC, 0); 7 gradient [B, Hkv, T, D], of the keys or the values. Dispatch:
 * (⌈T / R⌉, Hkv, B).
 *
 * @param options the tile, and whose gradient
 * @returns WGSL, for the feature `subgroups`
 */
export function attentionBackwardKeyValueSubgroup(
  options: AttentionSubgroupOptions & { readonly gradient: "key" | "value" },
): string {
  const ofKey = options.gradient === "key";
  const { subgroupSize: S, rows: R } = options;
  const chunks = chunksOf(options);
  const eachRow = (line: (r: number) => string) => unroll(R, line);
  const source = ofKey ? "query" : "outputGradient"; // what the weights are multiplied with
  const finish = ofKey ? writeKey(options) : writeValue(options);
  const eachChunk = (line: (c: number) => string) => unroll(chunks.count, line);
  return `
const LOG2_E: f32 = 1.4426950408889634;

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  scale: f32,
  vScale: u32, // 0: none, 1: full, 2: backward-only
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> outputGradient: array<vec4f>;
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>;
@group(0) @binding(6) var<storage, ${ofKey ? "read" : "read_write"}> valve: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size(${S})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let length = parameters.sequenceLength;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let firstRow = workgroup.x * ${R}u; // the first keys have the most queries: longest first already
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y;
  let scale = parameters.scale * LOG2_E;
  ${ownRows("keyRow", options, "keyHead")}
  ${
    eachRow((r) => `
  let row${r} = keyHead * length + min(firstRow + ${r}u, length - 1u);
  var factor${r} = 1.0;`)
  }
  ${
    ofKey
      ? `
  if (parameters.vScale == 1u) {
    ${eachRow((r) => `factor${r} = valve[row${r}].x / (valve[row${r}].x + valve[row${r}].y);`)}
  }`
      : ""
  }
  ${eachChunk((c) => eachRow((r) => `var sum${c}_${r} = vec4f(0.0);`))}

  let lastTile = (length - 1u) / ${4 * S}u;
  for (var member = 0u; member < groupSize; member++) {
    let queryHead = workgroup.z * parameters.queryHeads + workgroup.y * groupSize + member;
    for (var tile = firstRow / ${4 * S}u; tile <= lastTile; tile++) {
      let firstQuery = tile * ${4 * S}u;
      let position = firstQuery + 4u * lane + vec4u(0u, 1u, 2u, 3u);
      let columnIndex = queryHead * length + min(position, vec4u(length - 1u));
      let columnRow = columnIndex * ${chunks.vectors}u;
      ${eachRow((r) => `var score${r} = vec4f(0.0);`)}
      ${ofKey ? eachRow((r) => `var weightGradient${r} = vec4f(0.0);`) : ""}
      for (var d = 0u; d < ${chunks.vectors}u; d++) {
        ${productStep(options, { sum: "score", rows: ["key", "keyRow"], columns: "query" })}
        ${
    ofKey
      ? productStep(options, {
        sum: "weightGradient",
        rows: ["value", "keyRow"],
        columns: "outputGradient",
      })
      : ""
  }
      }
      ${unroll(4, (j) => `let statistics${j} = rowStatistics[columnIndex.${"xyzw"[j]}];`)}
      let logSumExp = LOG2_E * vec4f(${unroll(4, (j) => `statistics${j}.x`, ", ")});
      let rowDot = vec4f(${unroll(4, (j) => `statistics${j}.y`, ", ")});
      ${
    eachRow((r) => `
      let weight${r} = exponential2(scale * score${r} - logSumExp)${
      ofKey ? ` * (factor${r} * weightGradient${r} - rowDot)` : ""
    };`)
  }

      // Queries that only the earlier keys are seen by; then lanes whose four queries see all keys; then,
      // at the end of the sequence, up to three queries of a lane that is not full.
      let tileEnd = min(${4 * S}u, length - firstQuery);
      let begin = max(firstRow, firstQuery) - firstQuery;
      let seenByAll = min(max(firstRow + ${R}u, firstQuery) - firstQuery, ${4 * S}u);
      let full = max(seenByAll, tileEnd / 4u * 4u);
      ${
    eachChunk((c) => `
      {
        let first = (queryHead * length + firstQuery) * ${chunks.vectors}u + ${chunks.column(c)};
        for (var source = seenByAll / 4u; source < full / 4u; source++) {
          let row = first + source * ${4 * chunks.vectors}u;
          ${unroll(4, (j) => `let source${j} = ${source}[row + ${j * chunks.vectors}u];`)}
          ${accumulateFour(options, { running: `sum${c}_`, weight: "weight", values: "source" })}
        }
      }`)
  }
      for (var k = begin; k < tileEnd; k++) {
        if (k >= seenByAll && k < full) {
          continue;
        }
        let first = (queryHead * length + firstQuery + k) * ${chunks.vectors}u;
        ${eachChunk((c) => `let sourceSeen${c} = ${source}[first + ${chunks.column(c)}];`)}
        ${
    accumulateSeen(options, {
      running: "sum",
      weight: "weight",
      value: "sourceSeen",
      seen: (r) => `firstQuery + k >= firstRow + ${r}u`,
    })
  }
      }
    }
  }

  ${eachRow(finish)}
}
`;
}
