/**
 * Attention backward, keyGradient and valueGradient, for GPUs: the formulas of attention/backward_key_value.wgsl, in base
 * 2, on the tiles of attention/tiled/tile.ts.
 *
 * A workgroup computes one tile of keys of one key and value head; for every query head of the group it walks the
 * query tiles from the diagonal to the end.
 *
 * Barriers, besides those of `products`: four per query tile, before and after the weights, then the gradients of the
 * logits, are written to `tile`; one for V-scale. Masked queries are never multiplied.
 *
 * With f16 query, key, the weights and the gradients of the logits are rounded, the latter two in the scale of their
 * row: see attention/tiled/backward_query.wgsl.ts.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2; V-scale: Chen, Lin, Yao, arXiv 2603.17771.
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
 * [B, Hq, T, D]; 5 rowStatistics [B, Hq, T] of (logSumExp, D); 6 valve [B, Hkv, T]: in (r, C), out (term of dC, 0);
 * 7 keyGradient and 8 valueGradient [B, Hkv, T, D]. Dispatch: (⌈T / rows⌉, Hkv, B).
 *
 * @param options the tile
 * @returns WGSL
 */
export function attentionBackwardKeyValueTiled(options: AttentionTiledOptions): string {
  const { across, down, quadsAcross } = options;
  const { rows, columns, rowQuads, vectors, chunks } = tileOf(options);
  const publish = (weights: string) =>
    publishLargest(
      options,
      weights,
      (a, b, c) => `vec4u(firstColumn + ${column(options, b, c)}) >= position${a}`,
    );
  const accumulated = (name: string, weights: string, buffer: string) =>
    accumulate(options, {
      name,
      unit: unitOf(options, weights),
      columns: { buffer, head: "columnHead", first: "firstColumn" },
      end: `min(${columns}u, length - firstColumn)`,
      diagonal: `firstColumn < firstRow + ${rows - 1}u`,
      seen: (row) => `firstColumn + j >= ${row}`,
    });
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
@group(0) @binding(6) var<storage, read_write> valve: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> keyGradient: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> valueGradient: array<vec4f>;
${declarations(options, { partial: true })}
${scaleDeclarations(options)}

@compute @workgroup_size(${across}, ${down})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let x = lane.x;
  let y = lane.y;
  let length = parameters.sequenceLength;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let firstRow = workgroup.x * ${rows}u; // the first keys have the most queries: longest first already
  let rowHead = (workgroup.z * parameters.keyValueHeads + workgroup.y) * length;
  let scale = parameters.scale * LOG2_E;
  ${
    eachQuad(options, (a) => `
  let position${a} = firstRow + 4u * (y + ${a * down}u) + vec4u(0u, 1u, 2u, 3u);
  var squaredNorm${a} = vec4f(1.0);
  var constant${a} = vec4f(0.0);
  if (parameters.vScale != 0u) {
    for (var i = 0u; i < 4u; i++) {
      let v = valve[rowHead + min(position${a}[i], length - 1u)];
      squaredNorm${a}[i] = v.x;
      constant${a}[i] = v.y;
    }
  }
  let through${a} = squaredNorm${a} / (squaredNorm${a} + constant${a});
  let factor${a} = select(vec4f(1.0), through${a}, parameters.vScale == 1u);`)
  }
  ${
    eachRow(options, (r) =>
      unroll(chunks, (n) =>
        `var valueSum${r}_${n} = vec4f(0.0); var keySum${r}_${n} = vec4f(0.0);`))
  }

  let lastTile = (length - 1u) / ${columns}u;
  for (var member = 0u; member < groupSize; member++) {
    let columnHead =
      (workgroup.z * parameters.queryHeads + workgroup.y * groupSize + member) * length;
    for (var queryTile = firstRow / ${columns}u; queryTile <= lastTile; queryTile++) {
      let firstColumn = queryTile * ${columns}u;
      ${
    products(options, {
      name: "score",
      rows: { buffer: "key", head: "rowHead", first: "firstRow" },
      columns: { buffer: "query", head: "columnHead", first: "firstColumn" },
    })
  }
      ${
    products(options, {
      name: "weightGradient",
      exact: true,
      rows: { buffer: "value", head: "rowHead", first: "firstRow" },
      columns: { buffer: "outputGradient", head: "columnHead", first: "firstColumn" },
    })
  }
      ${
    unroll(quadsAcross, (b) =>
      unroll(4, (c) =>
        `let statistics${b}_${c} =
        rowStatistics[columnHead + min(firstColumn + ${column(options, b, c)}, length - 1u)];`))
  }
      ${
    eachCell(options, (a, b, c) => `
      let weight${a}_${b}_${c} =
        exponential2(scale * score${a}_${b}_${c} - LOG2_E * statistics${b}_${c}.x);
      let logitGradient${a}_${b}_${c} = weight${a}_${b}_${c}
        * (factor${a} * weightGradient${a}_${b}_${c} - statistics${b}_${c}.y);`)
  }
      ${publish("weight")}
      workgroupBarrier();
      ${shareScaled(options, "weight")}
      workgroupBarrier();
      ${accumulated("valueSum", "weight", "outputGradient")}
      ${publish("logitGradient")}
      workgroupBarrier();
      ${shareScaled(options, "logitGradient")}
      workgroupBarrier();
      ${accumulated("keySum", "logitGradient", "query")}
    }
  }

  // V-scale: <v, u> of every key, a share from each invocation of its row.
  ${eachQuad(options, (a) => `var share${a} = vec4f(0.0);`)}
  if (parameters.vScale != 0u) {
    ${
    eachRow(options, (r, a, e) => `
    {
      let index = (rowHead + min(position${a}.${e}, length - 1u)) * ${vectors}u;
      ${
      unroll(chunks, (n) => `
      if (${holds(options, n)}) {
        share${a}.${e} += dot(value[index + ${chunk(options, n)}], valueSum${r}_${n});
      }`)
    }
    }`)
  }
  }
  ${eachQuad(options, (a) => `partial[x * ${rowQuads}u + y + ${a * down}u] = share${a};`)}
  workgroupBarrier();
  ${
    eachQuad(options, (a) => `
  var product${a} = vec4f(0.0);
  for (var l = 0u; l < ${across}u; l++) {
    product${a} += partial[l * ${rowQuads}u + y + ${a * down}u];
  }
  let sum${a} = squaredNorm${a} + constant${a};
  let along${a} = 2.0 * (constant${a} / sum${a}) / sum${a} * product${a};`)
  }
  ${
    eachRow(options, (r, a, e) => `
  if (position${a}.${e} < length) {
    let row = rowHead + position${a}.${e};
    if (parameters.vScale != 0u && x == 0u) {
      valve[row] = vec2f(-through${a}.${e} / sum${a}.${e} * product${a}.${e}, 0.0);
    }
    let index = row * ${vectors}u;
    ${
      unroll(chunks, (n) => `
    if (${holds(options, n)}) {
      keyGradient[index + ${chunk(options, n)}] = parameters.scale * keySum${r}_${n};
      var gradient = valueSum${r}_${n};
      if (parameters.vScale != 0u) {
        gradient = through${a}.${e} * gradient
          + along${a}.${e} * value[index + ${chunk(options, n)}];
      }
      valueGradient[index + ${chunk(options, n)}] = gradient;
    }`)
    }
  }`)
  }
}
`;
}
