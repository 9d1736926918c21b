/**
 * Attention backward in panels, second step: the gradients of a chunk's keys, Σ_t dS_tj q_t, or of
 * its values, Σ_t P_tj g_t with g the outputGradient, summed over all query heads that share them.
 * attention/panels/panel.ts describes the panels.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2.
 */
import {
  addProducts,
  eachRow,
  leftAcross,
  PANEL_LANES,
  PANEL_VECTORS,
  SUBGROUP_PANEL,
} from "./subgroup_tile.ts";
import { panelHeader } from "./panel.ts";
import { unroll } from "../../unroll.ts";

/**
 * Writes the kernel.
 *
 * Bindings: 0 uniform parameters; 1 the panel of dS or of P; 2 source [B, Hq, T, D], which is the
 * query with dS and the outputGradient with P; 3 gradient [B, Hkv, T, D], of the key or of the
 * value. Dispatch: (tiles of keys of the chunk, ⌈D / 32⌉, key and value heads of the chunk).
 *
 * @returns WGSL, for the feature `subgroups`
 */
export function attentionBackwardPanelsKeyValueSubgroup(): string {
  const left = leftAcross("panel", (u) => `panelRow + (k + ${u}u) * ${PANEL_VECTORS}u`);
  const loads = `
      ${left.loads}
      ${
    unroll(4, (u) =>
      `let right${u} = source[(headRow + min(k + ${u}u, length - 1u)) * vectors + column];`)
  }`;
  return `${panelHeader(SUBGROUP_PANEL)}
@group(0) @binding(1) var<storage, read> panel: array<vec4f>;
@group(0) @binding(2) var<storage, read> source: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size(${PANEL_LANES})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let length = parameters.length;
  let vectors = parameters.headDim / 4u;
  let firstKey = (parameters.firstTile + workgroup.x) * ROWS;
  let column = min(workgroup.y * ${PANEL_LANES}u + lane, vectors - 1u);
  ${eachRow((r) => `var sum${r} = vec4f();`)}
  for (var member = 0u; member < parameters.groupSize; member++) {
    let head = workgroup.z * parameters.groupSize + member;
    let headRow = (parameters.firstHead * parameters.groupSize + head) * length;
    let panelRow = (head * parameters.tiles + workgroup.x) * tilesOfRows() * (ROWS * KEYS / 4u) + lane;
    // In the diagonal tile a query sees only the keys up to its own position. A query past the end
    // needs no mask: it reads the last query, and the panel holds 0 for it.
    for (var k = firstKey; k < firstKey + ROWS; k += 4u) {
      ${loads}
${addProducts("sum", left, (r, u) => `k + ${u}u >= firstKey + ${r}u`)}
    }
    for (var k = firstKey + ROWS; k < length; k += 4u) {
      ${loads}
${addProducts("sum", left)}
    }
  }
  // Rows past the end are stored in the last row's place. The last row is stored after them and
  // overwrites them.
  let headRow = (parameters.firstHead + workgroup.z) * length;
  if (workgroup.y * ${PANEL_LANES}u + lane < vectors) {
    ${
    eachRow((i) => {
      const r = SUBGROUP_PANEL.rows - 1 - i;
      return `gradient[(headRow + min(firstKey + ${r}u, length - 1u)) * vectors + column] = sum${r};`;
    })
  }
  }
}
`;
}
