/**
 * A custom operator in one file, for `deno task bench --operator=bench/operators/softcap.ts`:
 * soft-capping, y = c tanh(x / c), which keeps a model's logits within ±c (Gemma 2), and its
 * gradient. Copy this file to start your own.
 */
import { type Gpu, Plan, spreadWorkgroups, type Tensor } from "@gradsink/gradsink";
import type { HostTensor, TensorSource } from "@gradsink/gradsink/measure";

const CAP = 30;
const WORKGROUP = 64;

/** The lengths of a call. */
interface Lengths {
  /** The elements of x. */
  readonly n: number;
}

/** The operator's name in tables and result files. */
export const name = "softcap";

/**
 * The calls to measure. `--shapes=quick` measures only the first. `--shape=n4096` measures a call
 * of another length instead.
 */
export function shapes({ software }: { readonly software: boolean }): readonly Lengths[] {
  return software ? [{ n: 2 ** 18 }, { n: 2 ** 20 }] : [{ n: 2 ** 24 }, { n: 2 ** 26 }];
}

/** Logits up to ±3c, two thirds of them beyond the cap. */
export function inputs({ n }: Lengths, random: TensorSource): Record<"x", HostTensor> {
  return { x: random.uniform([n], { minimum: -3 * CAP, maximum: 3 * CAP }) };
}

/** The operator in float64. */
export function twin({ x }: { readonly x: HostTensor }): Record<"y", Float64Array> {
  return { y: x.data.map((x) => CAP * Math.tanh(x / CAP)) };
}

/** A division, a tanh and a product per element; each element is read and written once. */
export function cost({ n }: Lengths): { readonly flops: number; readonly bytes: number } {
  return { flops: 3 * n, bytes: 8 * n };
}

/**
 * The largest error that WGSL allows, relative to the largest |y|, which is about c. An ulp is at
 * most 2⁻²³ of a number. WGSL computes tanh z as sinh z / cosh z, each from two exponentials. The
 * errors in ulp:
 *
 * - 9 in sinh z and 9 in cosh z: exponentials are within 3 + 2 |z|, with |z| ≤ 3
 * - 1 in sinh z and 1 in cosh z, from the difference and the sum of their exponentials
 * - 1 in the product with c
 * - 2.5 in sinh z / cosh z
 * - below 1.2 from z = x / c, whose error of 2.5 changes tanh z by 2.5 |z| / cosh² z
 *
 * Together these are below 25.
 */
export const tolerance = 25 * 2 ** -23;

/** The variants; the first is the default. */
export const plan = { "vec4": planOf(4), "scalar": planOf(1) };

/** The gradient: ∂x = (1 − tanh²(x / c)) ∂y. */
export const backward = {
  inputs: ({ n }: Lengths, random: TensorSource): Record<"x" | "gradient", HostTensor> => ({
    ...inputs({ n }, random),
    gradient: random.uniform([n], { minimum: -1, maximum: 1 }),
  }),
  twin: ({ x, gradient }: Record<"x" | "gradient", HostTensor>) => ({
    inputGradient: x.data.map((x, i) => (1 - Math.tanh(x / CAP) ** 2) * gradient.data[i]!),
  }),
  cost: ({ n }: Lengths) => ({ flops: 5 * n, bytes: 12 * n }),
  // Squaring doubles tanh's error, and rounding adds 1 ulp at most three times. Errors are relative
  // to the largest |∂x|, which is above 0.9 among thousands of numbers.
  tolerance: (2 * tolerance + 3 * 2 ** -23) / 0.9,
  plan: planBackward,
};

function planOf(width: 1 | 4) {
  const type = width === 1 ? "f32" : "vec4f";
  const source = `
    struct Parameters { elements: u32, cap: f32 }
    @group(0) @binding(0) var<uniform> parameters: Parameters;
    @group(0) @binding(1) var<storage, read> x: array<${type}>;
    @group(0) @binding(2) var<storage, read_write> y: array<${type}>;

    @compute @workgroup_size(${WORKGROUP})
    fn main(
      @builtin(global_invocation_id) id: vec3u,
      @builtin(num_workgroups) workgroups: vec3u,
    ) {
      let i = id.x + id.y * workgroups.x * ${WORKGROUP}u;
      if (i >= parameters.elements) { return; }
      y[i] = parameters.cap * tanh(x[i] / parameters.cap);
    }`;
  return (gpu: Gpu, { x }: { readonly x: Tensor }, { n }: Lengths) => {
    if (n % width !== 0) throw new RangeError(`n is ${n}, wanted a multiple of ${width}`);
    const y = gpu.empty([n]);
    const plan = new Plan(gpu, {
      operator: name,
      cost: cost({ n }),
      dispatches: [{
        kernel: { parts: [{ file: `softcap_${type}.wgsl`, source }] },
        parameters: [{ u32: n / width }, { f32: CAP }],
        buffers: [x, y],
        workgroups: spreadWorkgroups(gpu, Math.ceil(n / width / WORKGROUP)),
      }],
      tensors: { x, y },
    });
    return { plan, y };
  };
}

function planBackward(
  gpu: Gpu,
  { x, gradient }: Readonly<Record<"x" | "gradient", Tensor>>,
  { n }: Lengths,
) {
  const source = `
    struct Parameters { elements: u32, cap: f32 }
    @group(0) @binding(0) var<uniform> parameters: Parameters;
    @group(0) @binding(1) var<storage, read> x: array<f32>;
    @group(0) @binding(2) var<storage, read> gradient: array<f32>;
    @group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

    @compute @workgroup_size(${WORKGROUP})
    fn main(
      @builtin(global_invocation_id) id: vec3u,
      @builtin(num_workgroups) workgroups: vec3u,
    ) {
      let i = id.x + id.y * workgroups.x * ${WORKGROUP}u;
      if (i >= parameters.elements) { return; }
      let t = tanh(x[i] / parameters.cap);
      input_gradient[i] = (1.0 - t * t) * gradient[i];
    }`;
  const inputGradient = gpu.empty([n]);
  const plan = new Plan(gpu, {
    operator: `${name} backward`,
    cost: backward.cost({ n }),
    dispatches: [{
      kernel: { parts: [{ file: "softcap_backward.wgsl", source }] },
      parameters: [{ u32: n }, { f32: CAP }],
      buffers: [x, gradient, inputGradient],
      workgroups: spreadWorkgroups(gpu, Math.ceil(n / WORKGROUP)),
    }],
    tensors: { x, gradient, inputGradient },
  });
  return { plan, inputGradient };
}
