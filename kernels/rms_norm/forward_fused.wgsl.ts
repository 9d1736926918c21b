/**
 * RMSNorm, forward, with the row in registers: `inverseRms = 1 / sqrt(mean(x²) + epsilon)`, `y =
 * gain * x * inverseRms`.
 *
 * A workgroup of LANES invocations walks one run of rows. An invocation keeps K elements of the row
 * and of the gain in registers, so memory is read once and written once. Neighboring invocations
 * hold neighboring elements. Barriers: those of rowSum, at most two per row, none if the workgroup
 * is one subgroup.
 *
 * Source: Zhang and Sennrich, arXiv 1910.07467.
 */
import { unroll } from "../unroll.ts";

/** The sizes that a fused kernel is written for. */
export interface FusedRow {
  /** Elements of a row: d, or d / 4 for vectors. */
  readonly elements: number;
  /** Invocations of the workgroup that shares the row. */
  readonly lanes: number;
}

/**
 * Writes the kernel. It needs rows/element_vector.wgsl or rows/element_scalar.wgsl, and
 * rows/sum_subgroup.wgsl or rows/sum_workgroup.wgsl in front, and rms_norm/inverse.wgsl with its
 * own needs.
 *
 * Bindings: 0 uniform parameters; 1 input [rows, d]; 2 gain [d]; 3 output [rows, d]; 4 inverseRms
 * [rows]. rowsPerRun is at most 32. Dispatch workgroups in x and y for all runs.
 *
 * @param row the lengths of the row and the workgroup, K = ⌈elements / lanes⌉; elementWidth: the
 *   numbers in an element
 */
export function rmsNormForwardFused(
  { elements, lanes, elementWidth }: FusedRow & { readonly elementWidth: 1 | 4 },
): string {
  const elementsPerLane = Math.ceil(elements / lanes);
  const eachElement = (line: (k: number) => string) => unroll(elementsPerLane, line);
  // Only the last element of a lane can be past the end.
  const inside = (k: number, statements: string) =>
    (k + 1) * lanes <= elements ? statements : `if (inside${k}) {${statements}
    }`;
  // Access to one number at a time compiles faster than access to whole elements.
  const number = (array: string, index: string) =>
    elementWidth === 1 ? `${array}[${index}]` : `${array}[${index} / 4u][${index} % 4u]`;
  return `
struct Parameters {
  rows: u32,
  columns: u32, // d
  epsilon: f32,
  rowsPerRun: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<Element>; // [d]
@group(0) @binding(3) var<storage, read_write> output: array<Element>; // [rows, d]
@group(0) @binding(4) var<storage, read_write> inverseRms: array<f32>; // [rows]

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let length = parameters.columns / ELEMENT_WIDTH;
  ${
    eachElement((k) => `
  let column${k} = lane.x + ${k}u * LANES;
  let inside${k} = column${k} < length;
  let weight${k} = gain[min(column${k}, length - 1u)];`)
  }
  let begin = (workgroup.y * workgroups.x + workgroup.x) * parameters.rowsPerRun;
  let end = min(begin + parameters.rowsPerRun, parameters.rows);
  var extreme = 0u; // a bit for each row
  var bit = 1u;
  for (var row = begin; row < end; row++) {
    let first = row * length;
    var squares = Element();
    ${
    eachElement((k) => `
    var x${k} = Element();
    ${
      inside(
        k,
        `
      x${k} = input[first + column${k}];
      squares += x${k} * x${k};`,
      )
    }`)
  }
    let sum = rowSum(elementSum(squares), lane.x, row);
    let mean = meanSquare(sum);
    let inverse = 1.0 / sqrt(mean);
    extreme |= select(bit, 0u, isUsual(mean));
    bit += bit; // a shift by a variable costs CPU adapters much more
    ${
    eachElement((k) => `
    ${
      inside(
        k,
        `
      output[first + column${k}] = weight${k} * (x${k} * inverse);`,
      )
    }`)
  }
    if (lane.x == 0u) {
      inverseRms[row] = inverse;
    }
  }
  // Computes again, in a separate loop, the rows that isUsual rejects. Inside the main loop this
  // would cost the usual rows a twelfth of their time on the CPU, which runs a loop's body once
  // even if no lane needs it.
  for (var row = begin; extreme != 0u; row++) {
    if ((extreme & 1u) != 0u) {
      let first = row * parameters.columns;
      let inverse = inverseOfScaledRow(row);
      for (var c = lane.x; c < parameters.columns; c += LANES) {
        let i = first + c;
        ${number("output", "i")} = ${number("gain", "c")} * (${number("input", "i")} * inverse);
      }
      if (lane.x == 0u) {
        inverseRms[row] = inverse;
      }
    }
    extreme >>= 1u;
  }
}
`;
}
