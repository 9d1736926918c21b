/**
 * Fused causal attention, forward, for adapters that compute on the CPU and have no subgroups or
 * only narrow ones. It uses the formulas of attention/forward.wgsl, with exp(x) computed as
 * exp2(x log2(e)).
 *
 * On such adapters a barrier costs hundreds of cycles, and a load costs as much as dozens of
 * multiply-adds, even if lanes read the same number. So every invocation computes R query rows from
 * beginning to end and reuses loaded numbers in registers. It first computes the scores of its rows
 * against a tile of C keys. Then it adds the weighted values of these keys to its output, one
 * column at a time. Between tiles the output, not yet divided by the sum of the weights, stays in
 * its final place in memory, which no other invocation touches. The kernel needs no barrier and no
 * workgroup memory.
 *
 * Neighboring invocations own neighboring rows: with L invocations in a workgroup, row i of
 * invocation l is row L · i + l of the workgroup.
 *
 * Masked values are never added, not even times zero: a `select` drops their products in tiles with
 * keys that only some rows see.
 *
 * Source: Dao, arXiv 2307.08691 (FlashAttention-2).
 */
import { type AttentionBarrierFreeOptions, scores, weightedSums } from "./barrier_free_tile.ts";
import { unroll } from "../unroll.ts";

/**
 * Writes the kernel. It needs not_a_number.wgsl in front, and attention/sink/forward.wgsl for a
 * sink.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4 valve
 * [B, Hkv, T] of (r = |v|², C), read with V-scale "full" only; 5 output [B, Hq, T, D]; 6 logSumExp
 * [B, Hq, T]; and, with a sink, 7 sinkLogit [Hq]. Dispatch: (⌈T / (L R)⌉, Hq, B).
 *
 * @param options the tile, and whether query heads have a learned sink (default: false)
 */
export function attentionForwardBarrierFree(
  options: AttentionBarrierFreeOptions & { readonly sink?: boolean },
): string {
  const { lanes: L, rows: R, columns: C, sink = false } = options;
  const eachRow = (line: (r: number) => string) => unroll(R, line);
  const eachFour = (line: (g: number) => string) => unroll(C / 4, line);
  const position = (g: number) => `firstKey + ${4 * g}u + vec4u(0u, 1u, 2u, 3u)`;
  return `
const MASKED: f32 = -3.4e38; // finite, because compilers may assume that there are no infinities
const LN_2: f32 = 0.6931471805599453;

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  headDim: u32, // D
  scale: f32, // times log2(e)
  vScaleFull: u32, // 1: factors come from valve
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> valve: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;
@group(0) @binding(6) var<storage, read_write> logSumExp: array<f32>;

fn maximum(v: vec4f) -> f32 {
  return max(max(v.x, v.y), max(v.z, v.w));
}

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
  // In place of a row past the end, the invocation computes and writes its first row again.
  ${
    eachRow((r) => `
  ${
      r === 0
        ? ""
        : `let position${r} = select(position0, position0 + ${r * L}u, position0 + ${
          r * L
        }u < length);`
    }
  let place${r} = (queryHead * length + position${r}) * headDim;
  ${
      sink
        ? `var maximum${r} = firstMaximum2(workgroup.y);
  var sum${r} = vec4f(firstSum(workgroup.y), 0.0, 0.0, 0.0);`
        : `var maximum${r} = MASKED;
  var sum${r} = vec4f(0.0);`
    }`)
  }
  for (var d = 0u; d < headDim; d++) {
    ${eachRow((r) => `output[place${r} + d] = 0.0;`)}
  }

  let lastTile = min(firstRow + ${L * R - 1}u, length - 1u) / ${C}u;
  for (var tile = 0u; tile <= lastTile; tile++) {
    let firstKey = tile * ${C}u;
    let firstIndex = keyHead * length;
    ${
    unroll(C, (j) =>
      `let columnPlace${j} = (firstIndex + min(firstKey + ${j}u, length - 1u)) * headDim;`)
  }
    ${scores(options)}
    let diagonal = firstKey + ${C - 1}u > firstRow; // true if a row does not see the whole tile
    ${eachRow((r) => eachFour((g) => `score${r}_${g} *= parameters.scale;`))}
    if (diagonal) {
      ${
    eachRow((r) =>
      eachFour((g) =>
        `score${r}_${g} = select(vec4f(MASKED), score${r}_${g}, ${
          position(g)
        } <= vec4u(position${r}));`
      )
    )
  }
    }
    ${
    eachRow((r) => `
    var newMaximum${r} = maximum${r};
    ${eachFour((g) => `newMaximum${r} = max(newMaximum${r}, maximum(score${r}_${g}));`)}
    let correction${r} = exp2(maximum${r} - newMaximum${r});
    maximum${r} = newMaximum${r};
    ${eachFour((g) => `var weight${r}_${g} = exponential2(score${r}_${g} - newMaximum${r});`)}`)
  }
    if (diagonal) {
      ${
    eachRow((r) =>
      eachFour((g) =>
        `weight${r}_${g} = select(vec4f(0.0), weight${r}_${g}, ${
          position(g)
        } <= vec4u(position${r}));`
      )
    )
  }
    }
    ${
    eachRow((r) =>
      `sum${r} = sum${r} * correction${r} + ${unroll(C / 4, (g) => `weight${r}_${g}`, " + ")};`
    )
  }
    if (parameters.vScaleFull == 1u) {
      ${
    eachFour((g) => `
      var factors${g} = vec4f(1.0);
      for (var j = 0u; j < 4u; j++) {
        let v = valve[firstIndex + min(firstKey + ${4 * g}u + j, length - 1u)];
        factors${g}[j] = v.x / (v.x + v.y);
      }
      ${eachRow((r) => `weight${r}_${g} *= factors${g};`)}`)
  }
    }
    if (diagonal) {
      ${weightedSums(options, (r, j) => `firstKey + ${j}u <= position${r}`)}
    } else {
      ${weightedSums(options)}
    }
  }

  ${
    eachRow((r) => `
  let total${r} = dot(sum${r}, vec4f(1.0));
  logSumExp[queryHead * length + position${r}] =
    ${
      sink
        ? `sinkLogSumExp(
      maximum${r}, passNotANumber(vec4f(log2(total${r})), vec4f(total${r})).x, workgroup.y)`
        : `(maximum${r} + passNotANumber(vec4f(log2(total${r})), vec4f(total${r})).x) * LN_2`
    };`)
  }
  for (var d = 0u; d < headDim; d++) {
    ${eachRow((r) => `let result${r} = output[place${r} + d] / total${r};`)}
    ${eachRow((r) => `output[place${r} + d] = result${r};`)}
  }
}
`;
}
