/**
 * RMSNorm, forward, for adapters that compute on the CPU: `inverseRms = 1 / sqrt(mean(x²) +
 * epsilon)`, `y = gain * x * inverseRms`.
 *
 * An invocation walks a few whole rows, twice. On the CPU the lanes of a subgroup are the lanes of
 * a vector register, every load is a gather anyway, and the memory prefetcher works best if each
 * lane reads contiguous memory. The rows of an invocation share the loads of the gain. No barriers.
 * d may be any number with rows/element_scalar.wgsl, and a multiple of 4 with
 * rows/element_vector.wgsl.
 *
 * Source: Zhang and Sennrich, arXiv 1910.07467.
 */
import { unroll } from "../unroll.ts";

/**
 * Writes the kernel. It needs in front: rows/element_vector.wgsl or rows/element_scalar.wgsl; and
 * range.wgsl and rms_norm/inverse.wgsl.
 *
 * Bindings: 0 uniform parameters; 1 input [rows, d]; 2 gain [d]; 3 output [rows, d]; 4 inverseRms
 * [rows]. Dispatch: ⌈rows / 8R⌉ workgroups of 8 invocations each, spread over x and y.
 *
 * @param rows R, rows per invocation
 */
export function rmsNormForwardRows(rows: number): string {
  const eachRow = (line: (r: number) => string) => unroll(rows, line);
  return `
struct Parameters {
  rows: u32,
  columns: u32, // d
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [rows, d]
@group(0) @binding(2) var<storage, read> gain: array<Element>; // [d]
@group(0) @binding(3) var<storage, read_write> output: array<Element>; // [rows, d]
@group(0) @binding(4) var<storage, read_write> inverseRms: array<f32>; // [rows]

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
  var scale${r} = 1.0;
  var inverse${r} = 0.0;`)
  }
  // If float32 cannot hold the squares of a row, this loop runs a second time, with other scales.
  // A separate loop for each row would take longer to compile.
  for (var again = true; again;) {
    again = false;
    ${
    eachRow((r) => `
    var squares${r} = Element();`)
  }
    for (var c = 0u; c < length; c++) {
      ${
    eachRow((r) => `
      let x${r} = input[first${r} + c] * scale${r};
      squares${r} += x${r} * x${r};`)
  }
    }
    ${
    eachRow((r) => `
    let mean${r} = meanSquare(elementSum(squares${r}), scale${r});
    inverse${r} = inverseRoot(mean${r}, scale${r});
    scale${r} = nextScale(mean${r}, scale${r});
    again |= scale${r} != 1.0;`)
  }
  }
  ${
    eachRow((r) => `
  inverseRms[row${r}] = inverse${r};`)
  }
  for (var c = 0u; c < length; c++) {
    let weight = gain[c];
    ${
    eachRow((r) => `
    output[first${r} + c] = weight * (input[first${r} + c] * inverse${r});`)
  }
  }
}
`;
}
