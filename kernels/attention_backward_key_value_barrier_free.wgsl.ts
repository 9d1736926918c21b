/**
 * Attention backward, keyGradient and valueGradient, for adapters that compute on the CPU and have no subgroups, or
 * narrow ones: the formulas of attention_backward_key_value.wgsl, in base 2, on the tiles of
 * attention_forward_barrier_free.wgsl.ts.
 *
 * Every invocation computes R keys of its own; for every query head of the group it walks query tiles of C queries
 * from the diagonal to the end: the logits, the gradients of the weights, then, one column at a time, what the tile
 * adds to its keys' gradients. Between tiles those lie in their own places. No barrier, no workgroup memory.
 * Masked queries are never multiplied.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2; V-scale: Chen, Lin, Yao, arXiv 2603.17771.
 */
import {
  type AttentionBarrierFreeOptions,
  products,
  weightedSums,
} from "./attention_barrier_free_tile.ts";
import { unroll } from "./unroll.ts";

/**
 * Writes the kernel; needs not_a_number.wgsl in front.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4 outputGradient
 * [B, Hq, T, D]; 5 rowStatistics [B, Hq, T] of (logSumExp, D); 6 valve [B, Hkv, T]: in (r, C), out (term of dC, 0);
 * 7 keyGradient and 8 valueGradient [B, Hkv, T, D]. Dispatch: (⌈T / (L R)⌉, Hkv, B).
 *
 * @param options the tile
 * @returns WGSL
 */
export function attentionBackwardKeyValueBarrierFree(
  options: AttentionBarrierFreeOptions,
): string {
  const { lanes: L, rows: R, columns: C } = options;
  const eachRow = (line: (r: number) => string) => unroll(R, line);
  const eachFour = (line: (g: number) => string) => unroll(C / 4, line);
  const four = (line: (j: number) => string) => unroll(4, line, ", ");
  const seen = (r: number, j: number) =>
    `firstQuery + ${j}u >= position${r} && firstQuery + ${j}u < length`;
  return `
const LOG2_E: f32 = 1.4426950408889634;

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  headDim: u32, // D
  scale: f32,
  vScale: u32, // 0: none, 1: full, 2: backward-only
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> outputGradient: array<f32>;
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> valve: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> keyGradient: array<f32>;
@group(0) @binding(8) var<storage, read_write> valueGradient: array<f32>;

@compute @workgroup_size(${L})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.sequenceLength;
  let headDim = parameters.headDim;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let firstRow = workgroup.x * ${
    L * R
  }u; // the first keys have the most queries: longest first already
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y;
  let position0 = firstRow + lane.x;
  if (position0 >= length) {
    return;
  }
  // Keys past the end are the invocation's first one, computed and written as often.
  ${
    eachRow((r) => `
  ${
      r === 0
        ? ""
        : `let position${r} = select(position0, position0 + ${r * L}u, position0 + ${
          r * L
        }u < length);`
    }
  let place${r} = (keyHead * length + position${r}) * headDim;
  var valve${r} = vec2f(1.0, 0.0);
  var factor${r} = 1.0;`)
  }
  if (parameters.vScale != 0u) {
    ${eachRow((r) => `valve${r} = valve[keyHead * length + position${r}];`)}
  }
  if (parameters.vScale == 1u) {
    ${eachRow((r) => `factor${r} = valve${r}.x / (valve${r}.x + valve${r}.y);`)}
  }
  for (var d = 0u; d < headDim; d++) {
    ${eachRow((r) => `keyGradient[place${r} + d] = 0.0; valueGradient[place${r} + d] = 0.0;`)}
  }

  let lastTile = (length - 1u) / ${C}u;
  for (var member = 0u; member < groupSize; member++) {
    let queryHead = workgroup.z * parameters.queryHeads + workgroup.y * groupSize + member;
    for (var tile = firstRow / ${C}u; tile <= lastTile; tile++) {
      let firstQuery = tile * ${C}u;
      ${
    unroll(C, (j) => `
      let columnIndex${j} = queryHead * length + min(firstQuery + ${j}u, length - 1u);
      let columnPlace${j} = columnIndex${j} * headDim;`)
  }
      ${products(options, { sum: "score", rows: "key", columns: "query" })}
      ${products(options, { sum: "weightGradient", rows: "value", columns: "outputGradient" })}
      ${
    eachFour((g) => `
      ${unroll(4, (j) => `let statistics${4 * g + j} = rowStatistics[columnIndex${4 * g + j}];`)}
      let logSumExp${g} = LOG2_E * vec4f(${four((j) => `statistics${4 * g + j}.x`)});
      let rowDot${g} = vec4f(${four((j) => `statistics${4 * g + j}.y`)});
      ${
      eachRow((r) => `
      let weight${r}_${g} = exponential2(parameters.scale * LOG2_E * score${r}_${g} - logSumExp${g});
      let logitGradient${r}_${g} = parameters.scale * weight${r}_${g}
        * (factor${r} * weightGradient${r}_${g} - rowDot${g});`)
    }`)
  }
      // Some query is not seen by all keys, or does not exist.
      if (firstQuery < firstRow + ${L * R - 1}u || firstQuery + ${C}u > length) {
        ${
    weightedSums(options, {
      total: "valueGradient",
      weight: "weight",
      columns: "outputGradient",
      seen,
    })
  }
        ${
    weightedSums(options, { total: "keyGradient", weight: "logitGradient", columns: "query", seen })
  }
      } else {
        ${
    weightedSums(options, { total: "valueGradient", weight: "weight", columns: "outputGradient" })
  }
        ${
    weightedSums(options, { total: "keyGradient", weight: "logitGradient", columns: "query" })
  }
      }
    }
  }

  if (parameters.vScale == 0u) {
    return;
  }
  ${eachRow((r) => `var product${r} = 0.0; // <v, u>`)}
  for (var d = 0u; d < headDim; d++) {
    ${eachRow((r) => `product${r} += value[place${r} + d] * valueGradient[place${r} + d];`)}
  }
  ${
    eachRow((r) => `
  let sum${r} = valve${r}.x + valve${r}.y;
  let through${r} = valve${r}.x / sum${r};
  let along${r} = 2.0 * (valve${r}.y / sum${r}) / sum${r} * product${r};
  valve[keyHead * length + position${r}] = vec2f(-through${r} / sum${r} * product${r}, 0.0);`)
  }
  for (var d = 0u; d < headDim; d++) {
    ${
    eachRow((r) => `
    let result${r} = through${r} * valueGradient[place${r} + d] + along${r} * value[place${r} + d];`)
  }
    ${eachRow((r) => `valueGradient[place${r} + d] = result${r};`)}
  }
}
`;
}
