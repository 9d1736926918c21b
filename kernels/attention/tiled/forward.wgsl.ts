/**
 * Fused causal attention, forward, for GPUs: the formulas of attention/forward.wgsl, in base 2, with tiles of query and
 * key in workgroup memory and register tiles as attention/tiled/tile.ts describes them.
 *
 * A workgroup computes one tile of query rows of one head and walks the key tiles up to the diagonal.
 *
 * Barriers, besides those of `products`: two per key tile. The first stands between writing and reading `partial`, and
 * after the last reading of the operands in `tile`; the second between writing and reading the weights there. One at
 * the end, for the sums. Masked keys are never multiplied.
 *
 * With f16 query, key and the weights are rounded; the latter, which are 1 at most, are shared as multiples of 2^-14, so
 * that those above 2^-28 keep 11 bits.
 *
 * Source: Milakov and Gimelshein, arXiv 1805.02867 (online softmax); Dao, arXiv 2307.08691 (FlashAttention-2).
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
  share,
  tileOf,
} from "./tile.ts";
import { unroll } from "../../unroll.ts";

/**
 * Writes the kernel; needs not_a_number.wgsl in front.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4 valve [B, Hkv, T] of
 * (r, C), read with V-scale "full" only; 5 output [B, Hq, T, D]; 6 logSumExp [B, Hq, T]. Dispatch:
 * (⌈T / rows⌉, Hq, B).
 *
 * @param options the tile
 * @returns WGSL
 */
export function attentionForwardTiled(options: AttentionTiledOptions): string {
  const { across, down, quadsAcross } = options;
  const { rows, columns, rowQuads, vectors, chunks, storage } = tileOf(options);
  const unit = storage === "f16" ? "16384.0 * " : "";
  const reduce = (
    name: string,
    start: (a: number) => string,
    combine: (sum: string, next: string) => string,
  ) =>
    eachQuad(options, (a) => `
    var ${name}${a} = ${start(a)};
    for (var l = 0u; l < ${across}u; l++) {
      ${name}${a} = ${combine(`${name}${a}`, `partial[l * ${rowQuads}u + y + ${a * down}u]`)};
    }`);
  return `
const MASKED: f32 = -3.4e38; // finite: a shader compiler may assume that there are no infinities
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
${declarations(options, { partial: true })}

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
  ${
    eachQuad(options, (a) => `
  let position${a} = firstRow + 4u * (y + ${a * down}u) + vec4u(0u, 1u, 2u, 3u);
  var maximum${a} = vec4f(MASKED);
  var sum${a} = vec4f(0.0); // over this invocation's keys only; over all at the end`)
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
    ${eachQuad(options, (a) => `var tileMaximum${a} = vec4f(MASKED);`)}
    ${
    eachCell(options, (a, b, c) => `
    score${a}_${b}_${c} = select(vec4f(MASKED), parameters.scale * score${a}_${b}_${c},
      vec4u(firstColumn + ${column(options, b, c)}) <= position${a});
    tileMaximum${a} = max(tileMaximum${a}, score${a}_${b}_${c});`)
  }
    ${eachQuad(options, (a) => `partial[x * ${rowQuads}u + y + ${a * down}u] = tileMaximum${a};`)}
    workgroupBarrier();
    ${reduce("newMaximum", (a) => `maximum${a}`, (sum, next) => `max(${sum}, ${next})`)}
    ${
    eachQuad(options, (a) => `
    let correction${a} = exp2(maximum${a} - newMaximum${a});
    maximum${a} = newMaximum${a};
    sum${a} *= correction${a};`)
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
    var weight${a}_${b}_${c} = select(vec4f(0.0), exponential2(score${a}_${b}_${c} - newMaximum${a}),
      vec4u(firstColumn + ${column(options, b, c)}) <= position${a});
    sum${a} += weight${a}_${b}_${c};
    weight${a}_${b}_${c} *= factor${b}_${c};`)
  }
    ${share(options, "weight", () => unit)}
    workgroupBarrier();
    ${
    eachRow(options, (r, a, e) => unroll(chunks, (n) => `running${r}_${n} *= correction${a}.${e};`))
  }
    ${
    accumulate(options, {
      name: "running",
      columns: { buffer: "value", head: "columnHead", first: "firstColumn" },
      end: `min(${columns}u, length - firstColumn)`,
      diagonal: `firstColumn + ${columns - 1}u > firstRow`,
      seen: (row) => `firstColumn + j <= ${row}`,
    })
  }
  }

  ${eachQuad(options, (a) => `partial[x * ${rowQuads}u + y + ${a * down}u] = sum${a};`)}
  workgroupBarrier();
  ${reduce("total", () => "vec4f(0.0)", (sum, next) => `${sum} + ${next}`)}
  ${eachQuad(options, (a) => `let logarithm${a} = passNotANumber(log2(total${a}), total${a});`)}
  ${
    eachRow(options, (r, a, e) => `
  if (position${a}.${e} < length) {
    let index = rowHead + position${a}.${e};
    ${
      unroll(chunks, (n) => `
    if (${holds(options, n)}) {
      output[index * ${vectors}u + ${
        chunk(options, n)
      }] = running${r}_${n} / (${unit}total${a}.${e});
    }`)
    }
    if (x == 0u) {
      logSumExp[index] = (maximum${a}.${e} + logarithm${a}.${e}) * LN_2;
    }
  }`)
  }
}
`;
}
