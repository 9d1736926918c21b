/**
 * Attention backward in panels, second step, for adapters that compute on the CPU and have no
 * subgroups or only narrow ones. It computes the same as
 * attention/panels/key_value_subgroup.wgsl.ts.
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
 * Bindings: 0 uniform parameters; 1 the panel of dS or of P; 2 source [B, Hq, T, D], which is the
 * query with dS and the outputGradient with P; 3 gradient [B, Hkv, T, D], of the key or of the
 * value. Dispatch: (tiles of R keys of the chunk, ⌈D / (lanes · groups)⌉, key and value heads of
 * the chunk).
 */
export function attentionBackwardPanelsKeyValueBarrierFree(
  options: PanelBarrierFreeOptions,
): string {
  const { lanes, rows, groups, keys, step } = options;
  const operands: PanelOperands = {
    left: (r, u) => `panel[panelRow + (k + ${u}u) * KEYS + ${r}u]`,
    right: (g, u) => `source[(headRow + min(k + ${u}u, length - 1u)) * headDim + column${g}]`,
  };
  return `${panelHeader({ rows, keys })}
@group(0) @binding(1) var<storage, read> panel: array<f32>;
@group(0) @binding(2) var<storage, read> source: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.length;
  let headDim = parameters.headDim;
  let firstKey = parameters.firstTile * KEYS + workgroup.x * ROWS;
  let firstColumn = workgroup.y * ${lanes * groups}u + lane.x;
  ${unroll(groups, (g) => `let column${g} = min(firstColumn + ${g * lanes}u, headDim - 1u);`)}
  ${declareSums(options)}
  for (var member = 0u; member < parameters.groupSize; member++) {
    let head = workgroup.z * parameters.groupSize + member;
    let headRow = (parameters.firstHead * parameters.groupSize + head) * length;
    let panelRow = panelStart(head, workgroup.x * ROWS / KEYS, 0u) + workgroup.x * ROWS % KEYS;
    // In the diagonal tile a query sees only the keys up to its own position.
    for (var k = firstKey; k < min(firstKey + ROWS, length); k++) {
      ${addSeen(options, { ...operands, seen: (r) => `k >= firstKey + ${r}u` })}
    }
    // A query past the end reads the last query, which sees all keys. The panel holds 0 for it.
    for (var k = firstKey + ROWS; k < length; k += ${step}u) {
      ${addProducts(options, operands)}
    }
  }
  // Rows past the end are stored in the last row's place. The last row is stored after them and
  // overwrites them.
  let headRow = (parameters.firstHead + workgroup.z) * length;
  ${
    unroll(groups, (g) => `
  if (firstColumn + ${g * lanes}u < headDim) {
    ${
      unroll(rows, (i) => {
        const r = rows - 1 - i;
        return `gradient[(headRow + min(firstKey + ${r}u, length - 1u)) * headDim + column${g}] = sum${r}_${g};`;
      })
    }
  }`)
  }
}
`;
}
