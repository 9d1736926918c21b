/**
 * RMSNorm, forward, with the row in registers: `inverseRms = 1 / sqrt(mean(x²) + epsilon)`, `y =
 * gain * x * inverseRms`.
 *
 * A workgroup of LANES invocations walks one run of neighboring rows. An invocation keeps K
 * elements of the row and of the gain in registers, so memory is read once and written once.
 * Neighboring invocations hold neighboring elements. Barriers: those of rowSum, at most two per
 * row, none if the workgroup is one subgroup.
 *
 * Source: Zhang and Sennrich, arXiv 1910.07467.
 */
import { unroll } from "../unroll.ts";

/** The sizes that a fused kernel is written for. */
export interface FusedRow {
  /** Elements of a row: d, or d / 4 if an element is a vec4f. */
  readonly elements: number;
  /** Invocations of the workgroup that shares the row. */
  readonly lanes: number;
}

/** A row, and whether the workgroup is one subgroup. */
export interface ForwardFusedRow extends FusedRow {
  readonly oneSubgroup: boolean;
}

/**
 * Writes the kernel. It needs in front: one of the files rows/element_*, which read memory; one of
 * the files rows/sum_*, which sum over the workgroup; and range.wgsl and rms_norm/inverse.wgsl.
 *
 * Bindings: 0 uniform parameters; 1 input [rows, d]; 2 gain [d]; 3 output [rows, d]; 4 inverseRms
 * [rows]. Dispatch: one workgroup per run of neighboring rows, spread over x and y.
 *
 * @param row the lengths of the row and the workgroup, K = ⌈elements / lanes⌉
 * @returns WGSL. For a workgroup of one subgroup, it needs the feature `unchecked-subgroups`: all
 *   lanes leave the loop together, but compilers cannot see that
 */
export function rmsNormForwardFused({ elements, lanes, oneSubgroup }: ForwardFusedRow): string {
  const elementsPerLane = Math.ceil(elements / lanes);
  const eachElement = (line: (k: number) => string) => unroll(elementsPerLane, line);
  // Of a lane's elements, only the last one can be past the row's end.
  const inside = (k: number, statements: string) =>
    (k + 1) * lanes <= elements ? statements : `if (inside${k}) {${statements}
    }`;
  // If float32 cannot hold a row's squares, a workgroup of one subgroup computes the row again with
  // another scale, in the loop's next iteration. A branch would take a CPU adapter longer to run
  // and to compile. Larger workgroups branch, because their loop has barriers: WGSL then does not
  // let data decide on the number of iterations.
  const [scaled, inverse, next] = oneSubgroup
    ? [
      (x: string) => `(${x} * scale)`,
      `
    let mean = meanSquare(subgroupTotal(elementSum(squares)), scale);
    let inverse = inverseRoot(mean, scale);`,
      `
    scale = nextScale(mean, scale);
    row += select(0u, 1u, scale == 1.0);`,
    ]
    : [
      (x: string) => x,
      `
    let inverse = inverseRmsOf(rowSum(elementSum(squares), lane.x, row), row);`,
      `
    row++;`,
    ];
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
  var scale = 1.0;
  for (var row = begin; row < end;) {
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
      squares += ${scaled(`x${k}`)} * ${scaled(`x${k}`)};`,
      )
    }`)
  }
    ${inverse}
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
    ${next}
  }
}
`;
}
