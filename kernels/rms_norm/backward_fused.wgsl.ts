/**
 * RMSNorm backward with the row in registers: inputGradient, and the sums of gainGradient over runs
 * of neighboring rows, in one pass. With g the outputGradient and u = gain g, per row:
 *
 *     dx = inverseRms (u − x inverseRms <u, x> inverseRms / d)
 *     partialGain[run][c] = Σ over the run's rows of g x inverseRms
 *
 * A workgroup of LANES invocations walks one run of rows. An invocation keeps K elements of the
 * row, of the gain and of the gain's gradient in registers, so memory is read once and written
 * once. Neighboring invocations hold neighboring elements. Barriers: those of rowSum, at most two
 * per row. rows/column_sums.wgsl adds the sums of all runs. No atomics.
 *
 * Source: the Jacobian of Zhang and Sennrich, arXiv 1910.07467, equation 4.
 */
import type { FusedRow } from "./forward_fused.wgsl.ts";
import { unroll } from "../unroll.ts";

/**
 * Writes the kernel. It needs in front: one of the files rows/element_*, which read memory, and one
 * of the files rows/sum_*, which sum over the workgroup.
 *
 * Bindings: 0 uniform parameters; 1 input [rows, d]; 2 gain [d]; 3 inverseRms [rows]; 4
 * outputGradient [rows, d]; 5 inputGradient [rows, d]; 6 partialGain [runs, d]. Dispatch: (runs).
 *
 * @param row the lengths of the row and the workgroup; K = ⌈elements / lanes⌉
 */
export function rmsNormBackwardFused({ elements, lanes }: FusedRow): string {
  const elementsPerLane = Math.ceil(elements / lanes);
  const eachElement = (line: (k: number) => string) => unroll(elementsPerLane, line);
  // Of a lane's elements, only the last one can be past the row's end.
  const inside = (k: number, statements: string) =>
    (k + 1) * lanes <= elements ? statements : `if (inside${k}) {${statements}
    }`;
  return `
struct Parameters {
  rows: u32,
  columns: u32, // d
  rowsPerRun: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<Element>; // [d]
@group(0) @binding(3) var<storage, read> inverseRms: array<f32>; // [rows]
@group(0) @binding(4) var<storage, read> outputGradient: array<Element>; // [rows, d]
@group(0) @binding(5) var<storage, read_write> inputGradient: array<Element>; // [rows, d]
@group(0) @binding(6) var<storage, read_write> partialGain: array<Element>; // [runs, d]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.columns / ELEMENT_WIDTH;
  ${
    eachElement((k) => `
  let column${k} = lane.x + ${k}u * LANES;
  let inside${k} = column${k} < length;
  let weight${k} = gain[min(column${k}, length - 1u)];
  var sum${k} = Element();`)
  }
  let begin = workgroup.x * parameters.rowsPerRun;
  let end = min(begin + parameters.rowsPerRun, parameters.rows);
  for (var row = begin; row < end; row++) {
    let first = row * length;
    let inverse = inverseRms[row];
    var product = Element();
    ${
    eachElement((k) => `
    var gradient${k} = Element();
    var normal${k} = Element();
    ${
      inside(
        k,
        `
      gradient${k} = outputGradient[first + column${k}];
      normal${k} = input[first + column${k}] * inverse;
      product += weight${k} * gradient${k} * normal${k};
      sum${k} += gradient${k} * normal${k};`,
      )
    }`)
  }
    let mean = rowSum(elementSum(product), lane.x, row) / f32(parameters.columns);
    ${
    eachElement((k) => `
    ${
      inside(
        k,
        `
      inputGradient[first + column${k}] = inverse * (weight${k} * gradient${k} - mean * normal${k});`,
      )
    }`)
  }
  }
  ${
    eachElement((k) => `
  ${
      inside(
        k,
        `
    partialGain[workgroup.x * length + column${k}] = sum${k};`,
      )
    }`)
  }
}
`;
}
