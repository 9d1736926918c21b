/**
 * Attention backward in panels, first step, for adapters that compute on the CPU and have no
 * subgroups or only narrow ones. It uses the formulas of attention/panels/fill_subgroup.wgsl.ts.
 *
 * It first writes the inner products ⟨q_t, k_j⟩ and ⟨g_t, v_j⟩ to the panels. A rolled loop then
 * replaces them by P and dS, because unrolled code for all of a tile's exponentials would take long
 * to compile.
 *
 * It adds up a logit in the same order as attention/forward_barrier_free.wgsl.ts, so the logit's
 * rounding error cancels against that of logSumExp. With logits in the hundreds, another order
 * raises the gradients' error from 5e-5 to 2e-4.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2; V-scale: Chen, Lin, Yao, arXiv 2603.17771.
 */
import { addProducts, declareSums, type PanelBarrierFreeOptions } from "./barrier_free_tile.ts";
import { panelHeader } from "./panel.ts";
import { unroll } from "../../unroll.ts";

// Computes the inner products of R rows of one buffer with K rows of another, into a panel.
function products(
  options: PanelBarrierFreeOptions,
  { left, right, panel, chained = false }: {
    readonly left: string;
    readonly right: string;
    readonly panel: string;
    readonly chained?: boolean;
  },
): string {
  const { lanes, rows, groups, keys, step } = options;
  return `
  {
    ${declareSums(options)}
    for (var d = 0u; d < headDim; d += ${step}u) {
      ${
    addProducts(options, {
      left: (r, u) => `${left}[queryPlace${r} + d + ${u}u]`,
      right: (g, u) => `${right}[keyPlace${g} + d + ${u}u]`,
      chained,
    })
  }
    }
    ${
    unroll(rows, (r) =>
      unroll(groups, (g) =>
        `${panel}[panelRow + ${r * keys + g * lanes}u] = sum${r}_${g};`))
  }
  }`;
}

/**
 * Writes the kernel. It needs not_a_number.wgsl in front.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4
 * outputGradient [B, Hq, T, D]; 5 rowStatistics [B, Hq, T] of (logSumExp, D_t); 6 valve [B, Hkv, T]
 * of (r = |v|², C), read with V-scale "full" only; 7 the panel of P and 8 that of dS. Dispatch:
 * (the tiles that have a visible pair, query heads of the chunk).
 *
 * @param options the tile, with lanes · groups = K and `groups` a multiple of 4; and `firstQuery`,
 *   which tells whether the first query has a gradient, as with a learned sink or a gradient of
 *   logSumExp. Default: false
 */
export function attentionBackwardPanelsBarrierFree(
  options: PanelBarrierFreeOptions & { readonly firstQuery?: boolean },
): string {
  const { lanes, rows, groups, keys, firstQuery = false } = options;
  const fours = groups / 4;
  const place = (g: number, c: number) => `place + ${(4 * g + c) * lanes}u`;
  const four = (panel: string, g: number) => unroll(4, (c) => `${panel}[${place(g, c)}]`, ", ");
  return `${panelHeader({ rows, keys })}
const LOG2_E: f32 = 1.4426950408889634;

@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> outputGradient: array<f32>;
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>;
@group(0) @binding(6) var<storage, read> valve: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> probability: array<f32>;
@group(0) @binding(8) var<storage, read_write> logitGradient: array<f32>;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.length;
  let headDim = parameters.headDim;
  let place = placeOf(workgroup.x);
  let firstRow = place.firstRow;
  let queryHead = parameters.firstHead * parameters.groupSize + workgroup.y;
  let keyHead = parameters.firstHead + workgroup.y / parameters.groupSize;
  let panelRow = panelStart(workgroup.y, place.tile, firstRow) + lane.x;
  ${
    unroll(groups, (g) => `
  let keyIndex${g} = keyHead * length + min(place.firstKey + lane.x + ${g * lanes}u, length - 1u);
  let keyPlace${g} = keyIndex${g} * headDim;`)
  }
  ${
    unroll(rows, (r) =>
      `let queryPlace${r} = (queryHead * length + min(firstRow + ${r}u, length - 1u)) * headDim;`)
  }
  ${products(options, { left: "query", right: "key", panel: "probability", chained: true })}
  ${products(options, { left: "outputGradient", right: "value", panel: "logitGradient" })}

  ${unroll(groups, (g) => `var factor${g} = 1.0;`)}
  if (parameters.vScaleFull == 1u) {
    ${
    unroll(groups, (g) => `
    let valve${g} = valve[keyIndex${g}];
    factor${g} = valve${g}.x / (valve${g}.x + valve${g}.y);`)
  }
  }
  for (var r = 0u; r < ROWS; r++) {
    let exists = firstRow + r < length; // queries past the end read the last query and get weight 0
    let statistics = rowStatistics[queryHead * length + min(firstRow + r, length - 1u)];
    ${
    firstQuery
      ? "let scale = parameters.scale;"
      : `// The first query sees one key, so its logit's gradient is zero.
    // For this query a scale of 0 removes the rounding error that the difference below would leave.
    let scale = select(parameters.scale, 0.0, firstRow + r == 0u);`
  }
    let place = panelRow + r * KEYS;
    ${
    unroll(fours, (g) => `
    let logits${g} = parameters.scale * LOG2_E * vec4f(${four("probability", g)});
    let weights${g} = select(vec4f(0.0), exponential2(logits${g} - LOG2_E * statistics.x), exists);
    let factors${g} = vec4f(${unroll(4, (c) => `factor${4 * g + c}`, ", ")});
    let gradients${g} = scale
      * (weights${g} * (factors${g} * vec4f(${four("logitGradient", g)}) - statistics.y));
    ${
      unroll(4, (c) => `
    probability[${place(g, c)}] = weights${g}.${"xyzw"[c]};
    logitGradient[${place(g, c)}] = gradients${g}.${"xyzw"[c]};`)
    }`)
  }
  }
}
`;
}
