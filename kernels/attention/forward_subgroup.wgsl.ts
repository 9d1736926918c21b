/**
 * Fused causal attention, forward, for adapters that compute on the CPU and have subgroups.
 *
 * On such adapters a load costs dozens of multiply-adds and a barrier hundreds of cycles, so all
 * numbers stay in registers and pass between the lanes of a subgroup. It uses the formulas of
 * attention/forward.wgsl, with exp(x) computed as exp2(x log2(e)).
 *
 * A workgroup is one subgroup of S lanes. It computes R query rows of one head and walks key tiles
 * of 4 · S keys up to the diagonal. Each lane computes the scores of four keys of the tile, one
 * vec4f per row, and the lanes broadcast the rows' queries to each other. Lane l computes the vec4f
 * columns l, l + S, … of every row's output, and the lane that computed a weight broadcasts it. The
 * kernel needs no barrier and no workgroup memory.
 *
 * A row's exponentials are relative to a maximum that may lag behind the true one by SLACK powers
 * of two. So only a few tiles need an update, which computes the rows' maxima and rescales the
 * sums. A test of the bits of logit minus maximum tells whether a tile needs an update. The test
 * counts a NaN as large, because exp2 may lose it; the update puts the NaN into the row's sum. Only
 * a row's own logits move its maximum, so the bits of its output do not depend on later rows.
 *
 * Stores take most of the compile time. So the results are first copied to arrays, which one rolled
 * loop stores.
 *
 * Masked values are never added, not even times zero: a separate loop takes the keys that only some
 * rows see, and checks for each row whether it sees the key.
 *
 * Source: Dao, arXiv 2307.08691 (FlashAttention-2).
 */
import {
  accumulateFour,
  accumulateSeen,
  type AttentionSubgroupOptions,
  columnOf,
  holdsColumn,
  ownRows,
  scoreStep,
} from "./subgroup_tile.ts";
import { unroll } from "../unroll.ts";

/** Options of the kernel. */
export interface AttentionForwardSubgroupOptions extends AttentionSubgroupOptions {
  /** Whether query heads have a learned sink. Default: false. */
  readonly sink?: boolean;
}

/**
 * Writes the kernel. It needs not_a_number.wgsl in front, and attention/sink/forward.wgsl for a
 * sink.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4 valve
 * [B, Hkv, T] of (r = |v|², C), read with V-scale "full" only; 5 output [B, Hq, T, D]; 6 logSumExp
 * [B, Hq, T]; and, with a sink, 7 sinkLogit [Hq]. Dispatch: (⌈T / R⌉, Hq, B).
 *
 * @returns WGSL, for the feature `unchecked-subgroups`, because Tint does not know that subgroupAny
 *   returns a uniform result
 */
export function attentionForwardSubgroup(options: AttentionForwardSubgroupOptions): string {
  const { subgroupSize: S, rows: R, chunks, sink = false } = options;
  const eachRow = (line: (r: number) => string) => unroll(R, line);
  const eachChunk = (line: (c: number) => string) => unroll(chunks, line);
  return `
const MASKED: f32 = -3.4e38; // finite, because compilers may assume that there are no infinities
const LN_2: f32 = 0.6931471805599453;
const SLACK: f32 = 4.0; // how far a row's maximum may lag, in powers of two
const NEGATIVE_INFINITY: u32 = 0xff800000u; // as u32, only negative NaNs are larger

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  headDim: u32, // D
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
  let vectors = parameters.headDim / 4u;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let firstRow = (workgroups.x - 1u - workgroup.x) * ${R}u; // the longest rows first
  let queryHead = workgroup.z * parameters.queryHeads + workgroup.y;
  let keyHead = workgroup.z * parameters.keyValueHeads + workgroup.y / groupSize;
  ${ownRows(options)}

  ${
    sink
      ? `
  let sinkMaximum = firstMaximum2(workgroup.y);
  let sinkSum = vec4f(select(0.0, firstSum(workgroup.y), lane == 0u), 0.0, 0.0, 0.0);
  ${eachRow((r) => `var maximum${r} = sinkMaximum; var sum${r} = sinkSum;`)}`
      : eachRow((r) => `var maximum${r} = MASKED; var sum${r} = vec4f(0.0);`)
  }
  ${eachChunk((c) => eachRow((r) => `var running${c}_${r} = vec4f(0.0);`))}

  let lastTile = min(firstRow + ${R - 1}u, length - 1u) / ${4 * S}u;
  for (var tile = 0u; tile <= lastTile; tile++) {
    let firstKey = tile * ${4 * S}u;
    let position = firstKey + 4u * lane + vec4u(0u, 1u, 2u, 3u);
    let columnIndex = keyHead * length + min(position, vec4u(length - 1u));
    let columnRow = columnIndex * vectors;
    ${eachRow((r) => `var score${r} = vec4f(0.0);`)}
    for (var d = 0u; d < vectors; d++) {
      ${scoreStep(options)}
    }

    ${eachRow((r) => `score${r} *= parameters.scale;`)}
    let diagonal = firstKey + ${4 * S - 1}u > firstRow; // true if a row does not see the whole tile
    if (diagonal) {
      ${
    eachRow((r) =>
      `score${r} = select(vec4f(MASKED), score${r}, position <= vec4u(firstRow + ${r}u));`
    )
  }
    }
    // Compares bits, so that a NaN counts as large. As signed integers, the bits of positive floats
    // have the same order as the floats, and those of positive NaNs are larger still. As unsigned
    // integers, the bits of negative NaNs are the largest.
    var above = vec4i(0);
    var bits = vec4u(0u);
    ${
    eachRow((r) => `
    let excess${r} = score${r} - maximum${r};
    above = max(above, bitcast<vec4i>(excess${r}));
    bits = max(bits, bitcast<vec4u>(excess${r}));`)
  }
    let isAbove = any(above > vec4i(bitcast<i32>(SLACK))) || any(bits > vec4u(NEGATIVE_INFINITY));
    if (subgroupAny(isAbove)) {
      ${
    eachRow((r) => `
      let highest${r} = subgroupMax(maximum(score${r}));
      let grows${r} = highest${r} - maximum${r} > SLACK;
      let newMaximum${r} = select(maximum${r}, highest${r}, grows${r});
      let correction${r} = select(1.0, exp2(maximum${r} - newMaximum${r}), grows${r});
      maximum${r} = newMaximum${r};
      sum${r} = passNotANumber(sum${r} * correction${r}, score${r} - newMaximum${r});
      ${eachChunk((c) => `running${c}_${r} *= correction${r};`)}`)
  }
    }
    ${eachRow((r) => `var weight${r} = exp2(score${r} - maximum${r});`)}
    if (diagonal) {
      ${
    eachRow((r) =>
      `weight${r} = select(vec4f(0.0), weight${r}, position <= vec4u(firstRow + ${r}u));`
    )
  }
    }
    ${eachRow((r) => `sum${r} += weight${r};`)}
    if (parameters.vScaleFull == 1u) {
      var factors = vec4f(1.0);
      for (var i = 0u; i < 4u; i++) {
        let v = valve[columnIndex[i]];
        factors[i] = v.x / (v.x + v.y);
      }
      ${eachRow((r) => `weight${r} *= factors;`)}
    }

    // The first loop adds four values at a time, with the weights of one lane, as long as all rows
    // see these keys. The second loop adds the remaining values one by one.
    let whole = select(${S}u, (firstRow - min(firstRow, firstKey)) / 4u, diagonal);
    let end = min(min(firstRow + ${R}u, length) - firstKey, ${4 * S}u);
    ${
    eachChunk((c) => `
    {
      let first = (keyHead * length + firstKey) * vectors + ${columnOf(options, c)};
      for (var source = 0u; source < whole; source++) {
        let row = first + source * 4u * vectors;
        ${unroll(4, (j) => `let value${j} = value[row + ${j}u * vectors];`)}
        ${accumulateFour(options, c)}
      }
    }`)
  }
    if (diagonal) {
      for (var k = 4u * whole; k < end; k++) {
        let first = (keyHead * length + firstKey + k) * vectors;
        ${eachChunk((c) => `let valueSeen${c} = value[first + ${columnOf(options, c)}];`)}
        ${accumulateSeen(options)}
      }
    }
  }

  var maxima: array<f32, ${R}>;
  var sums: array<vec4f, ${R}>;
  var results: array<vec4f, ${R * chunks}>;
  ${eachRow((r) => `maxima[${r}] = maximum${r}; sums[${r}] = sum${r};`)}
  ${eachRow((r) => eachChunk((c) => `results[${r * chunks + c}] = running${c}_${r};`))}
  let rowsToWrite = min(${R}u, length - firstRow);
  for (var r = 0u; r < rowsToWrite; r++) {
    let total = subgroupAdd(dot(sums[r], vec4f(1.0)));
    let index = queryHead * length + firstRow + r;
    ${
    eachChunk((c) => `
    if (${holdsColumn(options, c)}) {
      let result = results[r * ${chunks}u + ${c}u] / total;
      output[index * vectors + ${columnOf(options, c)}] = result;
    }`)
  }
    if (lane == 0u) {
      ${
    sink
      ? `logSumExp[index] = sinkLogSumExp(
        maxima[r], passNotANumber(vec4f(log2(total)), vec4f(total)).x, workgroup.y);`
      : "logSumExp[index] = (maxima[r] + passNotANumber(vec4f(log2(total)), vec4f(total)).x) * LN_2;"
  }
    }
  }
}
`;
}
