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
 * [rows]. Dispatch: (runs).
 *
 * @param row the lengths of the row and the workgroup; K = ⌈elements / lanes⌉
 * @returns WGSL
 */
export function rmsNormForwardFused({ elements, lanes }: FusedRow): string {
  const elementsPerLane = Math.ceil(elements / lanes);
  const eachElement = (line: (k: number) => string) => unroll(elementsPerLane, line);
  // Only the last element of a lane can be past the end.
  const inside = (k: number, statements: string) =>
    (k + 1) * lanes <= elements ? statements : `if (inside${k}) {${statements}
    }`;
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
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.columns / ELEMENT_WIDTH;
  ${
    eachElement((k) => `
  let column${k} = lane.x + ${k}u * LANES;
  let inside${k} = column${k} < length;
  let weight${k} = gain[min(column${k}, length - 1u)];`)
  }
  let begin = workgroup.x * parameters.rowsPerRun;
  let end = min(begin + parameters.rowsPerRun, parameters.rows);
  for (var base = begin; base < end; base += 32u) {
  var extreme = 0u;
  var small = 0u;
  for (var row = base; row < min(base + 32u, end); row++) {
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
    extreme |= select(1u << (row - base), 0u, isUsual(mean));
    small |= select(0u, 1u << (row - base), mean < 1.0);
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
  // Computes rows of extreme size again in a separate loop. Inside the main loop this would cost
  // the usual rows a twelfth of their time on the CPU, which runs a loop's body once even if no
  // lane needs it.
  for (; extreme != 0u; extreme &= extreme - 1u) {
    let bit = firstTrailingBit(extreme);
    let row = base + bit;
    let first = row * length;
    let inverse = inverseOfScaledRow(row, ((small >> bit) & 1u) != 0u);
    for (var c = lane.x; c < length; c += LANES) {
      output[first + c] = gain[c] * (input[first + c] * inverse);
    }
    if (lane.x == 0u) {
      inverseRms[row] = inverse;
    }
  }
  }
}
`;
}
