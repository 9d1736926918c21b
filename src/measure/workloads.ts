/**
 * What is measured: an operator on a model's shape, with seeded inputs on the GPU, a plan that can be run any number
 * of times, and a check of its output against float64.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Cost, Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { planAttentionBackward, planAttentionForward } from "../ops/attention.ts";
import type { AttentionVScale } from "../ops/attention/shape.ts";
import { planAttentionSinkStatistics } from "../ops/attention_sink_statistics.ts";
import { planMatmul } from "../ops/matmul.ts";
import { planRmsNormBackward, planRmsNormForward } from "../ops/rms_norm.ts";
import { planVScaleBackward, planVScaleForward } from "../ops/v_scale.ts";
import type { KernelName, PassName, Shape } from "./workloads/shapes.ts";
import {
  prepareAttentionBackward,
  prepareAttentionForward,
  prepareAttentionSinkStatistics,
} from "./workloads/attention.ts";
import { prepareMatmul } from "./workloads/matmul.ts";
import {
  prepareRmsNormBackward,
  prepareRmsNormForward,
  prepareVScaleBackward,
  prepareVScaleForward,
} from "./workloads/rows.ts";
import {
  namedVariantsOf,
  type NumberFormat,
  numberFormatOf,
  variantsOf,
} from "./workloads/variants.ts";
import { type CheckResult, largestError, type Sample } from "./workloads/samples.ts";

export type { CheckResult } from "./workloads/samples.ts";
export {
  chosenVariant,
  namedVariantsOf,
  type NumberFormat,
  numberFormatOf,
  numberFormats,
  tunableOperator,
  tunedVariant,
  unfitVariants,
  type VariantQuestion,
  variantsOf,
} from "./workloads/variants.ts";

/** One way to compute all operators: planners that take and return what the operators' own do. */
export interface Implementation {
  /** The name that results carry as their variant. */
  readonly name: string;
  readonly attentionForward: typeof planAttentionForward;
  readonly attentionBackward: typeof planAttentionBackward;
  readonly attentionSinkStatistics: typeof planAttentionSinkStatistics;
  readonly rmsNormForward: typeof planRmsNormForward;
  readonly rmsNormBackward: typeof planRmsNormBackward;
  readonly vScaleForward: typeof planVScaleForward;
  readonly vScaleBackward: typeof planVScaleBackward;
  readonly matmul: typeof planMatmul;
}

// The operators' own kernels of this name.
function ownKernels(name: string): Implementation {
  return {
    name,
    attentionForward: (gpu, options) => planAttentionForward(gpu, { ...options, variant: name }),
    attentionBackward: (gpu, options) => planAttentionBackward(gpu, { ...options, variant: name }),
    attentionSinkStatistics: planAttentionSinkStatistics,
    rmsNormForward: (gpu, options) => planRmsNormForward(gpu, { ...options, variant: name }),
    rmsNormBackward: (gpu, options) => planRmsNormBackward(gpu, { ...options, variant: name }),
    vScaleForward: (gpu, options) => planVScaleForward(gpu, { ...options, variant: name }),
    vScaleBackward: (gpu, options) => planVScaleBackward(gpu, { ...options, variant: name }),
    matmul: (gpu, options) => planMatmul(gpu, { ...options, variant: name }),
  };
}

/** What {@linkcode createWorkload} makes. */
export interface WorkloadOptions {
  readonly kernel: KernelName;
  readonly pass: PassName;
  readonly shape: Shape;
  /**
   * One of {@linkcode variantsOf} or {@linkcode namedVariantsOf}, or the name of one of `implementations`. Default:
   * `portable`.
   */
  readonly variant?: string;
  /** Equal seeds give equal inputs, to every variant. Default 1. */
  readonly seed?: number;
  /** Others than the operators' own, to choose from by name; `bench/baselines` has one. */
  readonly implementations?: readonly Implementation[];
}

/** An operator with its inputs, ready to be timed. */
export interface Workload {
  readonly kernel: KernelName;
  readonly pass: PassName;
  readonly shape: Shape;
  /** The variant's name. */
  readonly variant: string;
  readonly dtype: NumberFormat;
  /** Belongs to the workload. */
  readonly plan: Plan;
  /** The least arithmetic and traffic of one run. */
  readonly cost: Cost;
  /**
   * Runs the plan once, after filling its outputs with NaN, and compares some rows with float64.
   *
   * @throws {GpuError} if the run fails
   */
  check(): Promise<CheckResult>;
  /** Frees the plan and all tensors. */
  dispose(): void;
  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void;
}

/**
 * The largest error that passes where operands are rounded to f16, relative to sums as `largestError` takes them. The
 * inputs are normal numbers, so each term of a sum is off by some roundings of 2^-11 at most, in random directions: two in
 * a matrix product; in attention those of a query and a key, which a logit of size 1 hands on in full, and of a weight.
 * Three such have a standard deviation of 2^-11, and so has their sum, relative to the root of the terms' squares. The
 * worst of the numbers that are looked at lies within five of them; the rest is for adapters that cut digits off.
 */
const HALF_TOLERANCE = 8 * 2 ** -11;

/** What a kernel's own module prepares. */
export interface Prepared {
  readonly plan: Plan;
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** The largest error that passes in f32. */
  readonly tolerance: number;
  /** Sampled numbers of the outputs, and the same in float64. */
  samples(read: Readonly<Record<string, Float32Array>>): Sample[] | Promise<Sample[]>;
}

/** What a kernel's own module gets. */
export interface PrepareOptions {
  readonly dimensions: Readonly<Record<string, number>>;
  /** V-scale inside attention. */
  readonly mode: AttentionVScale["mode"] | undefined;
  readonly seed: number;
  readonly implementation: Implementation;
  /** Hands something to the workload, which disposes of it; also where the preparation then fails. */
  readonly keep: <Owned extends { dispose(): void }>(owned: Owned) => Owned;
}

type Prepare = (gpu: Gpu, options: PrepareOptions) => Prepared;

const attention = { forward: prepareAttentionForward, backward: prepareAttentionBackward };

const preparers: Readonly<Record<KernelName, Readonly<Partial<Record<PassName, Prepare>>>>> = {
  "attention": attention,
  "attention-v-scale-full": attention,
  "attention-v-scale-backward-only": attention,
  "rms-norm": { forward: prepareRmsNormForward, backward: prepareRmsNormBackward },
  "v-scale": { forward: prepareVScaleForward, backward: prepareVScaleBackward },
  "attention-sink-statistics": { forward: prepareAttentionSinkStatistics },
  "matmul": { forward: prepareMatmul },
};

const modes: Readonly<Partial<Record<KernelName, AttentionVScale["mode"]>>> = {
  "attention-v-scale-full": "full",
  "attention-v-scale-backward-only": "backward-only",
};

/**
 * Makes the inputs of an operator on the GPU and plans it.
 *
 * @param gpu the GPU to measure
 * @param options which operator, on which shape, how
 * @returns the workload; dispose of it when done
 * @throws {RangeError} for an unknown kernel, pass or variant, or sizes beyond the adapter; nothing stays allocated
 * @throws {TypeError} for dimensions that the operator does not take
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { shapeNamed } from "./workloads/shapes.ts";
 * import { createWorkload } from "./workloads.ts";
 *
 * using gpu = await openGpu();
 * const shape = shapeNamed("rms-norm", "paper-0.1b");
 * using workload = createWorkload(gpu, { kernel: "rms-norm", pass: "forward", shape });
 * const { error, tolerance } = await workload.check();
 * console.log(error <= tolerance, workload.cost.bytes);
 * ```
 */
export function createWorkload(gpu: Gpu, options: WorkloadOptions): Workload {
  const { kernel, pass, shape, seed = 1, variant = "portable" } = options;
  const implementation = findImplementation(options, variant);
  const prepare = preparers[kernel][pass]!;
  const owned: { dispose(): void }[] = [];
  function keep<Owned extends { dispose(): void }>(thing: Owned): Owned {
    owned.push(thing);
    return thing;
  }
  function dispose(): void {
    for (const thing of owned) thing.dispose();
  }
  function prepared(prepare: Prepare): Prepared {
    try {
      const { dimensions } = shape;
      return prepare(gpu, { dimensions, mode: modes[kernel], seed, implementation, keep });
    } catch (error) {
      dispose();
      throw error;
    }
  }
  const { plan, outputs, tolerance: ofSingle, samples } = prepared(prepare);
  const dtype = numberFormatOf(kernel, pass, variant);
  const tolerance = dtype === "f32" ? ofSingle : HALF_TOLERANCE;
  keep(plan);
  for (const tensor of Object.values(outputs)) keep(tensor);
  return {
    kernel,
    pass,
    shape,
    variant,
    dtype,
    plan,
    cost: plan.cost,
    async check(): Promise<CheckResult> {
      for (const tensor of Object.values(outputs)) poison(gpu, tensor);
      gpu.run(plan);
      const read: Record<string, Float32Array> = {};
      for (const [name, tensor] of Object.entries(outputs)) read[name] = await tensor.read();
      return { ...largestError(await samples(read)), tolerance };
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

function findImplementation(
  { kernel, pass, implementations = [] }: WorkloadOptions,
  variant: string,
): Implementation {
  const own = [...variantsOf(kernel, pass), ...namedVariantsOf(kernel, pass)];
  const found = implementations.find(({ name }) => name === variant);
  if (found !== undefined) return found;
  if (own.includes(variant)) return ownKernels(variant);
  const known = [...own, ...implementations.map(({ name }) => name)].join(", ");
  throw new RangeError(
    `createWorkload: variant of ${kernel} ${pass} is ${variant}, wanted one of ${known}`,
  );
}

// So that what a kernel does not write shows as an error.
function poison(gpu: Gpu, tensor: Tensor): void {
  gpu.device.queue.writeBuffer(tensor.buffer, 0, new Float32Array(tensor.length).fill(NaN));
}
