/**
 * Attention backward in panels, third step: adds Σ_j dS_tj k_j over a chunk's keys j to
 * queryGradient. The first chunk writes its sums, and later chunks add theirs one after the other,
 * so no sum needs atomics. attention/panels/panel.ts describes the panels.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2.
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

/**
 * Writes the kernel.
 *
 * Bindings: 0 uniform parameters; 1 panel of dS; 2 key [B, Hkv, T, D]; 3 queryGradient [B, Hq, T,
 * D]. Dispatch: (tiles of queries from the chunk's first key on, ⌈D / 32⌉, query heads of the
 * chunk).
 *
 * @returns WGSL, for the feature `subgroups`
 */
export function attentionBackwardPanelsQuerySubgroup(): string {
  const left = leftAlongInner("panel", (j) => `panelRow + ${8 * j * PANEL_VECTORS}u + panelStep`);
  const loads = `
    let panelStep = (k / KEYS) * stride + (k % KEYS) / 4u;
    ${
    unroll(4, (u) =>
      `let right${u} = key[(keyRow + min(firstKey + k + ${u}u, length - 1u)) * vectors + column];`)
  }
    ${left.loads}`;
  const place = (r: number) => `(headRow + min(firstRow + ${r}u, length - 1u)) * vectors + column`;
  return `${panelHeader(SUBGROUP_PANEL)}
@group(0) @binding(1) var<storage, read> panel: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> queryGradient: array<vec4f>;

@compute @workgroup_size(${PANEL_LANES})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let length = parameters.length;
  let vectors = parameters.headDim / 4u;
  let firstKey = parameters.firstTile * KEYS;
  let below = workgroups.x - 1u - workgroup.x; // the longest rows first
  let firstRow = firstKey + below * ROWS;
  let column = min(workgroup.y * ${PANEL_LANES}u + lane, vectors - 1u);
  let headRow = (parameters.firstHead * parameters.groupSize + workgroup.z) * length;
  let keyRow = (parameters.firstHead + workgroup.z / parameters.groupSize) * length;
  let stride = panelStride() / 4u;
  let panelRow = panelStart(workgroup.z, 0u, firstRow + lane) / 4u;
  ${eachRow((r) => `var sum${r} = vec4f();`)}
  if (firstKey > 0u) {
    ${eachRow((r) => `sum${r} = queryGradient[${place(r)}];`)}
  }
  // The first loop adds the terms of the keys that all rows see. The second adds those of the
  // diagonal tile's keys, if that tile is in this chunk. k counts from the chunk's first key.
  let whole = min(below * ROWS, parameters.tiles * KEYS);
  for (var k = 0u; k < whole; k += 4u) {
    ${loads}
${addProducts("sum", left)}
  }
  let end = min((below + 1u) * ROWS, parameters.tiles * KEYS);
  for (var k = whole; k < end; k += 4u) {
    ${loads}
${addProducts("sum", left, (r, u) => `k + ${u}u <= whole + ${r}u`)}
  }
  // Rows past the end are stored in the last row's place. The last row is stored after them and
  // overwrites them.
  if (workgroup.y * ${PANEL_LANES}u + lane < vectors) {
    ${
    eachRow((i) => {
      const r = SUBGROUP_PANEL.rows - 1 - i;
      return `queryGradient[${place(r)}] = sum${r};`;
    })
  }
  }
}
`;
}
