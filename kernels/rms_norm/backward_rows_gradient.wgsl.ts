/**
 * RMSNorm backward for adapters that compute on the CPU, second of three stages. With g the
 * outputGradient and (n, m) = rowStatistics of rms_norm/backward_rows_mean.wgsl.ts, per row and
 * column:
 *
 *     inputGradient = n (gain g − m x n)     partialGain[run][c] = Σ over the run's rows of  g x n
 *
 * A run is a number of neighboring rows. An invocation takes W neighboring elements, the same ones
 * in every row of one run. It keeps their gain, and its sums for partialGain, in registers. There
 * are no barriers and no atomics, so the order of the sums never changes. d may be any number with
 * rows/element_scalar.wgsl, and a multiple of 4 with rows/element_vector.wgsl. In the third stage
 * rows/column_sums.wgsl adds the sums of all runs.
 *
 * Source: the Jacobian of Zhang and Sennrich, arXiv 1910.07467, equation 4.
 */
import { unroll } from "../unroll.ts";

/**
 * Writes the kernel. It needs rows/element_vector.wgsl or rows/element_scalar.wgsl in front.
 *
 * Bindings: 0 uniform parameters; 1 input [rows, d]; 2 gain [d]; 3 rowStatistics [rows] of vec2f; 4
 * outputGradient [rows, d]; 5 inputGradient [rows, d]; 6 partialGain [runs, d]. Dispatch workgroups
 * of 8 invocations: (⌈elements / (8 W)⌉, runs).
 *
 * @param width W, elements per invocation
 */
export function rmsNormBackwardRowsGradient(width: number): string {
  const eachElement = (line: (k: number) => string) => unroll(width, line);
  return `
struct Parameters {
  rows: u32,
  columns: u32, // d
  rowsPerRun: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<Element>; // [d]
@group(0) @binding(3) var<storage, read> rowStatistics: array<vec2f>; // [rows]
@group(0) @binding(4) var<storage, read> outputGradient: array<Element>; // [rows, d]
@group(0) @binding(5) var<storage, read_write> inputGradient: array<Element>; // [rows, d]
@group(0) @binding(6) var<storage, read_write> partialGain: array<Element>; // [runs, d]

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let length = parameters.columns / ELEMENT_WIDTH;
  let column = (workgroup.x * 8u + lane.x) * ${width}u;
  let begin = workgroup.y * parameters.rowsPerRun;
  let end = min(begin + parameters.rowsPerRun, parameters.rows);
  if (column + ${width}u <= length) {
    ${
    eachElement((k) => `
    let weight${k} = gain[column + ${k}u];
    var sum${k} = Element();`)
  }
    for (var row = begin; row < end; row++) {
      let statistics = rowStatistics[row];
      let i = row * length + column;
      ${
    eachElement((k) => `
      let gradient${k} = outputGradient[i + ${k}u];
      let normal${k} = input[i + ${k}u] * statistics.x;
      sum${k} += gradient${k} * normal${k};
      inputGradient[i + ${k}u] =
        statistics.x * (weight${k} * gradient${k} - statistics.y * normal${k});`)
  }
    }
    ${
    eachElement((k) => `
    partialGain[workgroup.y * length + column + ${k}u] = sum${k};`)
  }
    return;
  }
  // Computes the row's last elements, fewer than ${width}, one at a time.
  for (var c = column; c < length; c++) {
    let weight = gain[c];
    var sum = Element();
    for (var row = begin; row < end; row++) {
      let statistics = rowStatistics[row];
      let i = row * length + c;
      let gradient = outputGradient[i];
      let normal = input[i] * statistics.x;
      sum += gradient * normal;
      inputGradient[i] = statistics.x * (weight * gradient - statistics.y * normal);
    }
    partialGain[workgroup.y * length + c] = sum;
  }
}
`;
}
