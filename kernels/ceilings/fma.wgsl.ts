/**
 * Measures the arithmetic ceiling: fused multiply-adds without loads.
 *
 * Every invocation keeps independent accumulators in registers, so a multiply-add need not wait for
 * the previous one. It applies x ← x·factor + addend to each. With factor 1 and integer addends
 * every result is exact, so the final sum shows that each multiply-add was done. factor and addend
 * come from a uniform, so a compiler cannot know them.
 *
 * Source of the method: clpeak (github.com/krrishnarraj/clpeak), compute_sp_kernels.
 */

/** Options of the kernel. */
export interface CeilingFmaOptions {
  /** Independent accumulators per invocation. */
  readonly accumulators: number;
  /**
   * The type of an accumulator. With f16 and vec4h, put the line `enable f16;` before the kernel.
   */
  readonly type: "f32" | "vec4f" | "f16" | "vec4h";
  /** Multiply-adds of each accumulator in the loop's body. */
  readonly unrolled: number;
  /** Invocations per workgroup. */
  readonly workgroupSize: number;
}

/**
 * Writes the kernel.
 *
 * Bindings: 0 uniform { rounds: u32, factor: f32, addend: f32 }; 1 sums f32 [invocations]. One
 * workgroup does workgroupSize · accumulators · components · unrolled · rounds multiply-adds. In
 * invocation i, every component of accumulator j starts at j + (i mod 8). The invocation writes the
 * sum of all components of its accumulators. With factor 1 this sum is accumulators · components ·
 * (unrolled · rounds · addend + i mod 8) + components · Σ_j j. No barriers.
 *
 * @param options the accumulators and their type, the unrolling and the workgroup
 */
export function ceilingFma(options: CeilingFmaOptions): string {
  const { accumulators, type, unrolled, workgroupSize } = options;
  const scalar = type === "f16" || type === "vec4h" ? "f16" : "f32";
  const vector = type === "vec4f" || type === "vec4h";
  const list = Array.from({ length: accumulators }, (_, a) => a);
  const total = (a: number): string =>
    vector ? `f32(x${a}.x) + f32(x${a}.y) + f32(x${a}.z) + f32(x${a}.w)` : `f32(x${a})`;
  return `
struct Parameters {
  rounds: u32,
  factor: f32,
  addend: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(${workgroupSize})
fn main(@builtin(global_invocation_id) invocation: vec3u) {
  let factor = ${type}(${scalar}(parameters.factor));
  let addend = ${type}(${scalar}(parameters.addend));
  let start = f32(invocation.x % 8u);
  ${list.map((a) => `var x${a} = ${type}(${scalar}(start + ${a}.0));`).join("\n  ")}
  for (var round = 0u; round < parameters.rounds; round++) {
    ${
    Array.from({ length: unrolled }, () =>
      list.map((a) =>
        `x${a} = fma(x${a}, factor, addend);`
      ).join(" ")).join("\n    ")
  }
  }
  var sum = 0.0;
  ${list.map((a) => `sum += ${total(a)};`).join("\n  ")}
  sums[invocation.x] = sum;
}
`;
}
