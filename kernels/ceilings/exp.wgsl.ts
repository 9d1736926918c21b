/**
 * Measures the rate of the exponential function, without loads.
 *
 * Every invocation applies x ← x + exp(zero·x) to independent accumulators. With zero = 0 each step
 * adds 1, up to the exponential's error, so the final sum counts the steps. zero comes from a
 * uniform, so a compiler cannot know its value.
 */

/**
 * Writes the kernel.
 *
 * Bindings: 0 uniform { rounds: u32, zero: f32 }; 1 sums f32 [invocations]. One workgroup does
 * workgroupSize · accumulators · unrolled · rounds exponentials. Accumulator j starts at j. The
 * invocation writes the sum of its accumulators. With zero = 0 this sum is
 * accumulators · unrolled · rounds + Σ_j j. No barriers.
 *
 * @param options.accumulators independent accumulators per invocation
 * @param options.unrolled exponentials of each accumulator in the loop's body
 * @param options.workgroupSize invocations per workgroup
 */
export function ceilingExp(
  { accumulators, unrolled, workgroupSize }: {
    readonly accumulators: number;
    readonly unrolled: number;
    readonly workgroupSize: number;
  },
): string {
  const list = Array.from({ length: accumulators }, (_, a) => a);
  const step = list.map((a) => `x${a} += exp(parameters.zero * x${a});`).join(" ");
  return `
struct Parameters {
  rounds: u32,
  zero: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(${workgroupSize})
fn main(@builtin(global_invocation_id) invocation: vec3u) {
  ${list.map((a) => `var x${a} = ${a}.0;`).join("\n  ")}
  for (var round = 0u; round < parameters.rounds; round++) {
    ${Array.from({ length: unrolled }, () => step).join("\n    ")}
  }
  var sum = 0.0;
  ${list.map((a) => `sum += x${a};`).join("\n  ")}
  sums[invocation.x] = sum;
}
`;
}
