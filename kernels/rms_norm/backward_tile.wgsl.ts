/**
 * RMSNorm backward for adapters that compute on the CPU and have subgroups: inputGradient, and the
 * tiles' sums of gainGradient. With g the outputGradient, u = gain * g and n = inverseRms, per row:
 *
 *     m = <u, x> n / d          inputGradient = n (u − m x n)
 *     partialGain = Σ over a tile's groups of  g x n
 *
 * A workgroup walks a tile of rows twice: first for m, two rows at a time, with lanes on
 * neighboring vectors; then position by position for inputGradient and partialGain. x and g are
 * read twice. The first walk reads the gain once for every two rows, the second once per tile.
 * rows/tile.ts explains tiles, groups, phases and positions. No barriers. Any d from 4 on.
 * rows/column_sums.wgsl adds the tiles' sums.
 *
 * Source: the Jacobian of Zhang and Sennrich, arXiv 1910.07467, equation 4.
 */
import {
  bankRow,
  choose,
  eachBank,
  type RowTile,
  tileBegin,
  tileDeclarations,
  walkTile,
} from "../rows/tile.ts";
import { unroll } from "../unroll.ts";

/** The lanes compute m for this many rows at a time. These rows share the loads of the gain. */
const ROWS = 2;

/**
 * Writes the kernel.
 *
 * Bindings: 0 uniform parameters; 1 input [rows, d]; 2 gain [d]; 3 inverseRms [rows]; 4
 * outputGradient [rows, d]; 5 inputGradient [rows, d]; 6 partialGain [tiles, phases, d]. The
 * parameters rows and rowsPerTile must be multiples of `phases`, and rowsPerTile at most 4 ·
 * `lanes`. Dispatch: (⌈rows / rowsPerTile⌉).
 */
export function rmsNormBackwardTile(tile: RowTile): string {
  const { phases } = tile;
  const eachRow = (line: (r: number) => string) => unroll(ROWS, line);
  return `${tileDeclarations(tile)}
struct Parameters {
  rows: u32,
  columns: u32, // d
  rowsPerTile: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<vec4f>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<Gain>; // [d]
@group(0) @binding(3) var<storage, read> inverseRms: array<f32>; // [rows]
@group(0) @binding(4) var<storage, read> outputGradient: array<vec4f>; // [rows, d]
@group(0) @binding(5) var<storage, read_write> inputGradient: array<vec4f>; // [rows, d]
@group(0) @binding(6) var<storage, read_write> partialGain: array<vec4f>; // [tiles, phases, d]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  ${tileBegin()}
  ${
    eachBank((b) => `
  var inverseBank${b} = 0.0;
  let row${b} = ${bankRow(tile, b)};
  if (row${b} < rows) {
    inverseBank${b} = inverseRms[top + row${b}];
  }
  var meanBank${b} = 0.0;`)
  }
  for (var phase = 0u; phase < PHASES; phase++) {
    let offset = phase * columns % 4u; // where this phase's rows start in their first vectors
    for (var group = 0u; group < groups; group += ${ROWS}u) {
      ${
    eachRow((r) => `
      let group${r} = min(group + ${r}u, groups - 1u); // past the end, repeat the last one
      let bank${r} = group${r} / LANES * PHASES + phase;
      let inverse${r} = subgroupShuffle(
        ${choose([0, 1, 2, 3].map((b) => `inverseBank${b}`), (b) => `bank${r} == ${b}u`)},
        group${r} % LANES,
      );
      let first${r} = ((top + group${r} * PHASES + phase) * columns - offset) / 4u;
      var products${r} = vec4f();`)
  }
      for (var vector = lane.x; 4u * vector < columns + offset; vector += LANES) {
        ${
    phases === 1 ? "let weight = gain[vector];" : `
        // For numbers before the row's start, the difference wraps around to a huge number. So
        // they are not inside the row, like numbers past its end.
        let column = vec4u(4u * vector - offset) + vec4u(0u, 1u, 2u, 3u);
        let inside = column < vec4u(columns);
        let near = select(vec4u(0u), column, inside);
        let weight = vec4f(gain[near.x], gain[near.y], gain[near.z], gain[near.w]);`
  }
        ${
    eachRow((r) => {
      const term =
        `weight * outputGradient[first${r} + vector] * (input[first${r} + vector] * inverse${r})`;
      return `products${r} += ${phases === 1 ? term : `select(vec4f(), ${term}, inside)`};`;
    })
  }
      }
      ${
    eachRow((r) => `
      let product${r} = subgroupAdd((products${r}.x + products${r}.y) + (products${r}.z + products${r}.w));
      let mine${r} = lane.x == group${r} % LANES;
      ${
      eachBank((b) =>
        `meanBank${b} = select(meanBank${b}, product${r} / f32(columns), mine${r} && bank${r} == ${b}u);`
      )
    }`)
  }
    }
  }
  ${
    walkTile(tile, {
      read: ["inverse", "mean"],
      begin: (k) => `var sum${k} = vec4f();`,
      step: (k, guard) =>
        guard(`
        let gradient${k} = outputGradient[vector${k}];
        let normal${k} = input[vector${k}] * inverse${k};
        sum${k} += gradient${k} * normal${k};
        inputGradient[vector${k}] = inverse${k} * (gain${k} * gradient${k} - mean${k} * normal${k});`),
      end: (k, guard) => guard(`partialGain[workgroup.x * groupLength + position${k}] = sum${k};`),
    })
  }
}
`;
}
