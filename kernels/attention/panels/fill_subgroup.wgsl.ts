/**
 * Attention backward in panels, first step: for a chunk of keys, the probabilities P, and dS, the
 * gradients of the inner products ⟨q_t, k_j⟩. Exponentials are computed in base 2.
 *
 *   P_tj = exp2(log2 e (scale ⟨q_t, k_j⟩ − L_t))      dS_tj = scale P_tj (f_j ⟨g_t, v_j⟩ − D_t)
 *
 * L is logSumExp, y the output and g its gradient. D_t is ⟨g_t, y_t⟩, minus the gradient of L_t if
 * there is one. f_j is V-scale's factor in mode "full", else 1. attention/panels/panel.ts describes
 * the panels.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2; V-scale: Chen, Lin, Yao, arXiv 2603.17771.
 */
import {
  addProducts,
  eachRow,
  leftAlongInner,
  PANEL_LANES,
  PANEL_VECTORS,
  SUBGROUP_PANEL,
} from "./subgroup_tile.ts";
import { panelHeader } from "./panel.ts";
import { unroll } from "../../unroll.ts";

// Computes the inner products of 32 rows of one buffer with 32 rows of another.
function products(name: string, left: string, right: string): string {
  const loads = leftAlongInner(left, (j) => `queryRow${j} + d`);
  const along = (u: number) => unroll(4, (c) => `column${c}.${"xyzw"[u]}`, ", ");
  return `
  ${eachRow((r) => `var ${name}${r} = vec4f();`)}
  for (var d = 0u; d < vectors; d++) {
    ${loads.loads}
    ${unroll(4, (c) => `let column${c} = ${right}[keyRow${c} + d];`)}
    ${unroll(4, (u) => `let right${u} = vec4f(${along(u)});`)}
    ${addProducts(name, loads)}
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
 * @param options `firstQuery`: whether the first query has a gradient, as with a learned sink or a
 *   gradient of logSumExp. Default: false
 * @returns WGSL, for the feature `subgroups`
 */
export function attentionBackwardPanelsSubgroup(
  { firstQuery = false }: { readonly firstQuery?: boolean } = {},
): string {
  return `${panelHeader(SUBGROUP_PANEL)}
const LOG2_E: f32 = 1.4426950408889634;

@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> outputGradient: array<vec4f>;
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>;
@group(0) @binding(6) var<storage, read> valve: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> probability: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> logitGradient: array<vec4f>;

@compute @workgroup_size(${PANEL_LANES})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let length = parameters.length;
  let vectors = parameters.headDim / 4u;
  let place = placeOf(workgroup.x);
  let queryHead = parameters.firstHead * parameters.groupSize + workgroup.y;
  let keyHead = parameters.firstHead + workgroup.y / parameters.groupSize;
  let position = place.firstKey + 4u * lane + vec4u(0u, 1u, 2u, 3u);
  let keyIndex = keyHead * length + min(position, vec4u(length - 1u));
  ${unroll(4, (c) => `let keyRow${c} = keyIndex.${"xyzw"[c]} * vectors;`)}
  ${
    unroll(4, (j) => `
  let queryIndex${j} = queryHead * length + min(place.firstRow + ${8 * j}u + lane, length - 1u);
  let queryRow${j} = queryIndex${j} * vectors;
  let statistics${j} = rowStatistics[queryIndex${j}];`)
  }
  var factors = vec4f(1.0);
  if (parameters.vScaleFull == 1u) {
    ${
    unroll(4, (c) => `
    let valve${c} = valve[keyIndex.${"xyzw"[c]}];
    factors.${"xyzw"[c]} = valve${c}.x / (valve${c}.x + valve${c}.y);`)
  }
  }
  let panelRow = panelStart(workgroup.y, place.tile, place.firstRow) / 4u + lane;
  let scale = parameters.scale * LOG2_E;
  ${products("score", "query", "key")}
  ${
    eachRow((r) => `
  let logSumExp${r} = LOG2_E * subgroupBroadcast(statistics${r >> 3}.x, ${r % 8}u);
  // Queries past the end read the last query and get weight 0.
  let weight${r} = select(vec4f(0.0), exponential2(scale * score${r} - logSumExp${r}), place.firstRow + ${r}u < length);
  probability[panelRow + ${r * PANEL_VECTORS}u] = weight${r};`)
  }
  ${products("weightGradient", "outputGradient", "value")}
  ${
    firstQuery ? "" : `// The first query sees one key, so its logit's gradient is zero.
  // For this query a scale of 0 removes the rounding error that the difference below would leave.
  let firstScale = select(parameters.scale, 0.0, place.firstRow == 0u);`
  }
  ${
    eachRow((r) => `
  let rowDot${r} = subgroupBroadcast(statistics${r >> 3}.y, ${r % 8}u);
  logitGradient[panelRow + ${r * PANEL_VECTORS}u] =
    ${
      r === 0 && !firstQuery ? "firstScale" : "parameters.scale"
    } * (weight${r} * (factors * weightGradient${r} - rowDot${r}));`)
  }
}
`;
}
