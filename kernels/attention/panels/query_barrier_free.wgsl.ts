/**
 * Attention backward in panels, third step, for adapters that compute on the CPU and have no
 * subgroups or only narrow ones. It computes the same as attention/panels/query_subgroup.wgsl.ts.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2.
 */
import {
  addProducts,
  addSeen,
  declareSums,
  type PanelBarrierFreeOptions,
  type PanelOperands,
} from "./barrier_free_tile.ts";
import { panelHeader } from "./panel.ts";
import { unroll } from "../../unroll.ts";

/**
 * Writes the kernel.
 *
 * Bindings: 0 uniform parameters; 1 panel of dS; 2 key [B, Hkv, T, D]; 3 queryGradient [B, Hq, T,
 * D]. Dispatch: (tiles of R queries from the chunk's first key on, ⌈D / (lanes · groups)⌉, query
 * heads of the chunk).
 */
export function attentionBackwardPanelsQueryBarrierFree(options: PanelBarrierFreeOptions): string {
  const { lanes, rows, groups, keys, step } = options;
  // K is a multiple of the step, so a step's numbers are in one tile.
  const operands: PanelOperands = {
    left: (r, u) => `panel[panelRow + ${r * keys + u}u + panelStep]`,
    right: (g, u) =>
      `key[(keyRow + min(firstKey + k + ${u}u, length - 1u)) * headDim + column${g}]`,
  };
  const panelStep = "let panelStep = (k / KEYS) * panelStride() + k % KEYS;";
  // Writes a line for each row of column group g, from the last row to the first.
  const rowsOf = (g: number, line: (r: number, place: string) => string) => `
  if (firstColumn + ${g * lanes}u < headDim) {
    ${
    unroll(rows, (i) => {
      const r = rows - 1 - i;
      const row = `headRow + min(firstRow + ${r}u, length - 1u)`;
      return line(r, `queryGradient[(${row}) * headDim + column${g}]`);
    })
  }
  }`;
  return `${panelHeader({ rows, keys })}
@group(0) @binding(1) var<storage, read> panel: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read_write> queryGradient: array<f32>;

@compute @workgroup_size(${lanes})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let length = parameters.length;
  let headDim = parameters.headDim;
  let firstKey = parameters.firstTile * KEYS;
  let below = workgroups.x - 1u - workgroup.x; // the longest rows first
  let firstRow = firstKey + below * ROWS;
  let firstColumn = workgroup.y * ${lanes * groups}u + lane.x;
  let headRow = (parameters.firstHead * parameters.groupSize + workgroup.z) * length;
  let keyRow = (parameters.firstHead + workgroup.z / parameters.groupSize) * length;
  let panelRow = panelStart(workgroup.z, 0u, firstRow);
  ${unroll(groups, (g) => `let column${g} = min(firstColumn + ${g * lanes}u, headDim - 1u);`)}
  ${declareSums(options)}
  if (firstKey > 0u) {
    ${unroll(groups, (g) => rowsOf(g, (r, place) => `sum${r}_${g} = ${place};`))}
  }
  // The first loop adds the terms of the keys that all rows see. The second adds those of the
  // diagonal tile's keys, if that tile is in this chunk. k counts from the chunk's first key.
  let whole = min(below * ROWS, parameters.tiles * KEYS);
  for (var k = 0u; k < whole; k += ${step}u) {
    ${panelStep}
    ${addProducts(options, operands)}
  }
  let end = min(min((below + 1u) * ROWS, parameters.tiles * KEYS), length - firstKey);
  for (var k = whole; k < end; k++) {
    ${panelStep}
    ${addSeen(options, { ...operands, seen: (r) => `k <= whole + ${r}u` })}
  }
  // Rows past the end are stored in the last row's place. The last row is stored after them and
  // overwrites them.
  ${unroll(groups, (g) => rowsOf(g, (r, place) => `${place} = sum${r}_${g};`))}
}
`;
}
