/**
 * RMSNorm, forward, for adapters that compute on the CPU and have subgroups: `inverseRms = 1 /
 * sqrt(mean(x²) + epsilon)`, `y = gain * x * inverseRms`.
 *
 * A workgroup computes a tile of rows: first the inverseRms of one row after another, with lanes on
 * neighboring vectors, then the output position by position. x is read twice, the gain once per
 * tile. rows/tile.ts explains tiles and positions. No barriers. Any d from 4 on.
 *
 * Source: Zhang and Sennrich, arXiv 1910.07467.
 */
import {
  bankRow,
  eachBank,
  type RowTile,
  tileBegin,
  tileDeclarations,
  walkTile,
} from "../rows/tile.ts";

/**
 * Writes the kernel. It needs range.wgsl, rows/element_vector.wgsl and rms_norm/inverse.wgsl in
 * front, whatever d is: it reads rows as whole vectors.
 *
 * Bindings: 0 uniform parameters; 1 input [rows, d]; 2 gain [d]; 3 output [rows, d]; 4 inverseRms
 * [rows]. The parameters rows and rowsPerTile must be multiples of `phases`, and rowsPerTile at
 * most 4 · `lanes`. Dispatch: (⌈rows / rowsPerTile⌉).
 */
export function rmsNormForwardTile(tile: RowTile): string {
  const { phases } = tile;
  return `${tileDeclarations(tile)}
struct Parameters {
  rows: u32,
  columns: u32, // d
  epsilon: f32,
  rowsPerTile: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<vec4f>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<Gain>; // [d]
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>; // [rows, d]
@group(0) @binding(4) var<storage, read_write> inverseRms: array<f32>; // [rows]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  ${tileBegin()}
  ${eachBank((b) => `var inverseBank${b} = 0.0;`)}
  for (var row = 0u; row < rows; row++) {
    let start = (top + row) * columns;
    let end = (start + columns + 3u) / 4u;
    var squares = vec4f();
    for (var vector = start / 4u + lane.x; vector < end; vector += LANES) {
      ${
    phases === 1 ? "let x = input[vector];" : `
      // For numbers before the row's start, the difference wraps around to a huge number. So they
      // become 0, as do numbers past the row's end.
      let column = vec4u(4u * vector - start) + vec4u(0u, 1u, 2u, 3u);
      let x = select(vec4f(), input[vector], column < vec4u(columns));`
  }
      squares += x * x;
    }
    let sum = subgroupAdd((squares.x + squares.y) + (squares.z + squares.w));
    let inverse = inverseRmsOf(sum, top + row);
    let group = row / PHASES;
    let bank = group / LANES * PHASES + row % PHASES;
    let mine = lane.x == group % LANES;
    ${eachBank((b) => `inverseBank${b} = select(inverseBank${b}, inverse, mine && bank == ${b}u);`)}
  }
  ${
    eachBank((b) => `
  let row${b} = ${bankRow(tile, b)};
  if (row${b} < rows) {
    inverseRms[top + row${b}] = inverseBank${b};
  }`)
  }
  ${
    walkTile(tile, {
      read: ["inverse"],
      step: (k, guard) =>
        guard(`output[vector${k}] = gain${k} * (input[vector${k}] * inverse${k});`),
    })
  }
}
`;
}
