/**
 * RMSNorm backward for adapters that compute on the CPU, first of three stages: the statistics of
 * every row. With g the outputGradient and u = gain * g: rowStatistics = (inverseRms, <u, x>
 * inverseRms / d).
 *
 * An invocation walks a few rows, which share the loads of the gain. No barriers. d may be any
 * number with rows/element_scalar.wgsl, and a multiple of 4 with rows/element_vector.wgsl. The next
 * stages are rms_norm/backward_rows_gradient.wgsl.ts and rows/column_sums.wgsl.
 *
 * Source: the Jacobian of Zhang and Sennrich, arXiv 1910.07467, equation 4.
 */
import { unroll } from "../unroll.ts";

/**
 * Writes the kernel. It needs rows/element_vector.wgsl or rows/element_scalar.wgsl in front.
 *
 * Bindings: 0 uniform parameters; 1 input [rows, d]; 2 gain [d]; 3 inverseRms [rows]; 4
 * outputGradient [rows, d]; 5 rowStatistics [rows] of vec2f. Dispatch: ⌈rows / 8R⌉ workgroups of 8
 * invocations each, spread over x and y.
 *
 * @param rows R, rows per invocation
 */
export function rmsNormBackwardRowsMean(rows: number): string {
  const eachRow = (line: (r: number) => string) => unroll(rows, line);
  return `
struct Parameters {
  rows: u32,
  columns: u32, // d
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<Element>; // [d]
@group(0) @binding(3) var<storage, read> inverseRms: array<f32>; // [rows]
@group(0) @binding(4) var<storage, read> outputGradient: array<Element>; // [rows, d]
@group(0) @binding(5) var<storage, read_write> rowStatistics: array<vec2f>; // [rows]

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let firstRow = ((workgroup.y * workgroups.x + workgroup.x) * 8u + lane.x) * ${rows}u;
  if (firstRow >= parameters.rows) {
    return;
  }
  let length = parameters.columns / ELEMENT_WIDTH;
  // In place of rows past the end, the invocation computes the last row again.
  ${
    eachRow((r) => `
  let row${r} = min(firstRow + ${r}u, parameters.rows - 1u);
  let first${r} = row${r} * length;
  let inverse${r} = inverseRms[row${r}];
  var product${r} = Element();`)
  }
  for (var c = 0u; c < length; c++) {
    let weight = gain[c];
    ${
    eachRow((r) => `
    product${r} += weight * outputGradient[first${r} + c] * (input[first${r} + c] * inverse${r});`)
  }
  }
  ${
    eachRow((r) => `
  rowStatistics[row${r}] = vec2f(inverse${r}, elementSum(product${r}) / f32(parameters.columns));`)
  }
}
`;
}
