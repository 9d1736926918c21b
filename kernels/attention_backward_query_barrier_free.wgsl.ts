/**
 * Attention backward, queryGradient, for adapters that compute on the CPU and have no subgroups, or narrow ones: the
 * formulas of attention_backward_query.wgsl, in base 2, on the tiles of attention_forward_barrier_free.wgsl.ts.
 *
 * Every invocation computes R query rows of its own, and walks key tiles of C keys up to the diagonal: the logits,
 * the gradients of the weights, then, one column at a time, what the tile adds to its rows' gradient. Between tiles
 * that lies in its own place. No barrier, no workgroup memory. Masked keys are never multiplied.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2, split into two passes so that no sum needs atomics.
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
 * [B, Hq, T, D]; 5 rowStatistics [B, Hq, T] of (logSumExp, D); 6 valve [B, Hkv, T] of (r, C), read with V-scale
 * "full" only; 7 queryGradient [B, Hq, T, D]. Dispatch: (⌈T / (L R)⌉, Hq, B).
 *
 * @param options the tile
 * @returns WGSL
 */
export function attentionBackwardQueryBarrierFree(options: AttentionBarrierFreeOptions): string {
  const { lanes: L, rows: R, columns: C } = options;
  const eachRow = (line: (r: number) => string) => unroll(R, line);
  const eachFour = (line: (g: number) => string) => unroll(C / 4, line);
  return `
const LOG2_E: f32 = 1.4426950408889634;

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  headDim: u32, // D
  scale: f32,
  vScaleFull: u32, // 1: factors come from valve
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> outputGradient: array<f32>;
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>;
@group(0) @binding(6) var<storage, read> valve: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> queryGradient: array<f32>;

@compute @workgroup_size(${L})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let length = parameters.sequenceLength;
  let headDim = parameters.headDim;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let firstRow = (workgroups.x - 1u - workgroup.x) * ${L * R}u; // the longest rows first
  let queryHead = workgroup.z * parameters.queryHeads + workgroup.y;
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y / groupSize;
  let position0 = firstRow + lane.x;
  if (position0 >= length) {
    return;
  }
  // Rows past the end are the invocation's first one, computed and written as often.
  ${
    eachRow((r) => `
  ${
      r === 0
        ? ""
        : `let position${r} = select(position0, position0 + ${r * L}u, position0 + ${
          r * L
        }u < length);`
    }
  let statistics${r} = rowStatistics[queryHead * length + position${r}] * vec2f(LOG2_E, 1.0);
  let place${r} = (queryHead * length + position${r}) * headDim;`)
  }
  for (var d = 0u; d < headDim; d++) {
    ${eachRow((r) => `queryGradient[place${r} + d] = 0.0;`)}
  }

  let lastTile = min(firstRow + ${L * R - 1}u, length - 1u) / ${C}u;
  for (var tile = 0u; tile <= lastTile; tile++) {
    let firstKey = tile * ${C}u;
    let firstIndex = keyHead * length;
    ${
    unroll(C, (j) =>
      `let columnPlace${j} = (firstIndex + min(firstKey + ${j}u, length - 1u)) * headDim;`)
  }
    ${products(options, { sum: "score", rows: "query", columns: "key" })}
    ${products(options, { sum: "weightGradient", rows: "outputGradient", columns: "value" })}
    if (parameters.vScaleFull == 1u) {
      ${
    eachFour((g) => `
      var factors${g} = vec4f(1.0);
      for (var j = 0u; j < 4u; j++) {
        let v = valve[firstIndex + min(firstKey + ${4 * g}u + j, length - 1u)];
        factors${g}[j] = v.x / (v.x + v.y);
      }
      ${eachRow((r) => `weightGradient${r}_${g} *= factors${g};`)}`)
  }
    }
    ${
    eachRow((r) =>
      eachFour((g) => `
    let logitGradient${r}_${g} = parameters.scale
      * exponential2(parameters.scale * LOG2_E * score${r}_${g} - statistics${r}.x)
      * (weightGradient${r}_${g} - statistics${r}.y);`)
    )
  }
    if (firstKey + ${C - 1}u > firstRow) { // some row does not see all keys
      ${
    weightedSums(options, {
      total: "queryGradient",
      weight: "logitGradient",
      columns: "key",
      seen: (r, j) => `firstKey + ${j}u <= position${r}`,
    })
  }
    } else {
      ${weightedSums(options, { total: "queryGradient", weight: "logitGradient", columns: "key" })}
    }
  }
}
`;
}
