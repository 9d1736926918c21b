/**
 * Attention backward, queryGradient, for GPUs: the formulas of attention/backward_query.wgsl, in base 2, on the tiles of
 * attention/tiled/tile.ts.
 *
 * A workgroup computes one tile of query rows of one head and walks the key tiles up to the diagonal.
 *
 * Barriers, besides those of `products`: two per key tile, before the gradients of the logits replace the operands in
 * `tile`, and before they are read. Masked keys are never multiplied.
 *
 * With f16 query, key and the gradients of the logits are rounded, the latter in the scale of their row, so that each of
 * them keeps 11 bits, however small. outputGradient and value are not: ⟨g_t, v_j⟩ − D_t cancels where a query attends to
 * one key. On a sink of 99 %, with normal numbers, rounding them would take the error of the sink's key gradient from
 * 3e-4 to 1e-2.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2, split into two passes so that no sum needs atomics.
 */
import {
  accumulate,
  type AttentionTiledOptions,
  chunk,
  column,
  declarations,
  eachCell,
  eachQuad,
  eachRow,
  holds,
  products,
  tileOf,
} from "./tile.ts";
import { publishLargest, scaleDeclarations, shareScaled, unitOf } from "./scale.ts";
import { unroll } from "../../unroll.ts";

/**
 * Writes the kernel; needs not_a_number.wgsl in front.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4 outputGradient
 * [B, Hq, T, D]; 5 rowStatistics [B, Hq, T] of (logSumExp, D); 6 valve [B, Hkv, T] of (r, C), read with V-scale
 * "full" only; 7 queryGradient [B, Hq, T, D]. Dispatch: (⌈T / rows⌉, Hq, B).
 *
 * @param options the tile
 * @returns WGSL
 */
export function attentionBackwardQueryTiled(options: AttentionTiledOptions): string {
  const { across, down, quadsAcross } = options;
  const { rows, columns, vectors, chunks, storage } = tileOf(options);
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
${declarations(options, { partial: storage === "f16" })}
${scaleDeclarations(options)}

@compute @workgroup_size(${across}, ${down})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let x = lane.x;
  let y = lane.y;
  let length = parameters.sequenceLength;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let firstRow = (workgroups.x - 1u - workgroup.x) * ${rows}u; // the longest rows first
  let rowHead = (workgroup.z * parameters.queryHeads + workgroup.y) * length;
  let columnHead =
    (workgroup.z * parameters.keyValueHeads + workgroup.y / groupSize) * length;
  let scale = parameters.scale * LOG2_E;
  ${
    eachQuad(options, (a) => `
  let position${a} = firstRow + 4u * (y + ${a * down}u) + vec4u(0u, 1u, 2u, 3u);
  // The first query sees one key: its logit's gradient is zero, but for the rounding of two equal sums.
  let slope${a} = select(vec4f(1.0), vec4f(0.0), position${a} == vec4u(0u));
  var logSumExp${a} = vec4f(0.0);
  var rowDot${a} = vec4f(0.0);
  for (var i = 0u; i < 4u; i++) {
    let statistics = rowStatistics[rowHead + min(position${a}[i], length - 1u)];
    logSumExp${a}[i] = LOG2_E * statistics.x;
    rowDot${a}[i] = statistics.y;
  }`)
  }
  ${eachRow(options, (r) => unroll(chunks, (n) => `var running${r}_${n} = vec4f(0.0);`))}

  let lastTile = min(firstRow + ${rows - 1}u, length - 1u) / ${columns}u;
  for (var keyTile = 0u; keyTile <= lastTile; keyTile++) {
    let firstColumn = keyTile * ${columns}u;
    ${
    products(options, {
      name: "score",
      rows: { buffer: "query", head: "rowHead", first: "firstRow" },
      columns: { buffer: "key", head: "columnHead", first: "firstColumn" },
    })
  }
    ${
    products(options, {
      name: "weightGradient",
      exact: true,
      rows: { buffer: "outputGradient", head: "rowHead", first: "firstRow" },
      columns: { buffer: "value", head: "columnHead", first: "firstColumn" },
    })
  }
    ${
    unroll(quadsAcross, (b) =>
      unroll(4, (c) => `
    var factor${b}_${c} = 1.0;
    if (parameters.vScaleFull == 1u) {
      let v = valve[columnHead + min(firstColumn + ${column(options, b, c)}, length - 1u)];
      factor${b}_${c} = v.x / (v.x + v.y);
    }`))
  }
    ${
    eachCell(options, (a, b, c) => `
    let logitGradient${a}_${b}_${c} = slope${a} * exponential2(scale * score${a}_${b}_${c} - logSumExp${a})
      * (factor${b}_${c} * weightGradient${a}_${b}_${c} - rowDot${a});`)
  }
    ${
    publishLargest(
      options,
      "logitGradient",
      (a, b, c) => `vec4u(firstColumn + ${column(options, b, c)}) <= position${a}`,
    )
  }
    workgroupBarrier();
    ${shareScaled(options, "logitGradient")}
    workgroupBarrier();
    ${
    accumulate(options, {
      name: "running",
      unit: unitOf(options, "logitGradient"),
      columns: { buffer: "key", head: "columnHead", first: "firstColumn" },
      end: `min(${columns}u, length - firstColumn)`,
      diagonal: `firstColumn + ${columns - 1}u > firstRow`,
      seen: (row) => `firstColumn + j <= ${row}`,
    })
  }
  }

  ${
    eachRow(options, (r, a, e) => `
  if (position${a}.${e} < length) {
    let index = (rowHead + position${a}.${e}) * ${vectors}u;
    ${
      unroll(chunks, (n) => `
    if (${holds(options, n)}) {
      queryGradient[index + ${chunk(options, n)}] = parameters.scale * running${r}_${n};
    }`)
    }
  }`)
  }
}
`;
}
