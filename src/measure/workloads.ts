/**
 * The work to measure: an operator on a model's shape, with seeded inputs on the GPU, a plan that
 * can run any number of times, and a check of its output against float64.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Cost, Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { PassName, Shape } from "./workloads/operator.ts";
import { type OperatorName, passNamed } from "./workloads/operators.ts";
import type { Implementation, Planner, Prepared } from "./workloads/prepare.ts";
import { type CheckResult, largestError } from "./workloads/samples.ts";
import {
  namedVariantsOf,
  type NumberFormat,
  numberFormatOf,
  tunableOperator,
  variantsOf,
} from "./workloads/variants.ts";

/** Options of {@linkcode createWorkload}. */
export interface WorkloadOptions {
  /** The operator's name. */
  readonly kernel: OperatorName;
  /** One of the operator's passes. */
  readonly pass: PassName;
  /** The operator's lengths, with a name for messages. */
  readonly shape: Shape;
  /**
   * One of {@linkcode variantsOf} or {@linkcode namedVariantsOf}, or the name of one of
   * `implementations`. Default: `portable`; if a custom operator has none, its first variant.
   */
  readonly variant?: string;
  /** Equal seeds give equal inputs, whatever the variant. Default 1. */
  readonly seed?: number;
  /**
   * Further implementations to choose from by name, besides the operators' own; `bench/baselines`
   * has one.
   */
  readonly implementations?: readonly Implementation[];
}

/** An operator with its inputs, ready for timing. */
export interface Workload {
  /** The operator's name. */
  readonly kernel: OperatorName;
  /** One of the operator's passes. */
  readonly pass: PassName;
  /** The operator's lengths, with a name for messages. */
  readonly shape: Shape;
  /** The variant's name. */
  readonly variant: string;
  /** The number format in which the variant computes. */
  readonly dtype: NumberFormat;
  /** The plan. The workload's `dispose` frees it. */
  readonly plan: Plan;
  /** The least operations, and the least bytes to read and write, that one run needs. */
  readonly cost: Cost;
  /**
   * Fills the outputs with NaN, runs the plan once, and compares some of the outputs' rows with
   * float64.
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
 * The largest error that passes if operands are rounded to f16; relative as in `largestError`.
 *
 * A rounding changes a number by at most 2^-11 of its size, evenly up or down, so the change's
 * standard deviation is at most 2^-11/√3 of the size. Each term of a sum contains two rounded
 * numbers in a matrix product, and three in attention: a query, a key and a weight. Three roundings
 * together have a deviation of at most 2^-11. The sum's error has the same deviation, relative to
 * the root of the sum of the terms' squares. The largest error of the checked numbers is below five
 * deviations. Eight are allowed, for adapters that truncate instead of rounding.
 */
const HALF_TOLERANCE = 8 * 2 ** -11;

/**
 * Makes the inputs of an operator on the GPU and plans it.
 *
 * @param gpu the GPU to measure
 * @param options the operator, pass, shape and variant
 * @returns the workload; dispose of it when done
 * @throws {RangeError} for an unknown operator, pass or variant, for sizes beyond the adapter's
 *   limits, and if `cost` or `inputs` of a custom operator throws; nothing stays allocated
 * @throws {TypeError} for dimensions that the operator does not have, and if a custom operator
 *   returns a cost, an input or a plan of the wrong form
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
  const { kernel, pass, shape, seed = 1, variant = usualVariant(kernel, pass) } = options;
  const found = passNamed(kernel, pass);
  const planner = findPlanner(options, variant);
  const owned: { dispose(): void }[] = [];
  function keep<Owned extends { dispose(): void }>(thing: Owned): Owned {
    owned.push(thing);
    return thing;
  }
  function dispose(): void {
    for (const thing of owned) thing.dispose();
  }
  function prepared(): Prepared {
    try {
      return found.prepare(gpu, { dimensions: shape.dimensions, seed, plan: planner, keep });
    } catch (error) {
      dispose();
      throw error;
    }
  }
  const { plan, outputs, tolerance: ofSingle, samples } = prepared();
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

function usualVariant(kernel: OperatorName, pass: PassName): string {
  const variants = variantsOf(kernel, pass);
  return variants.includes("portable") ? "portable" : variants[0]!;
}

function findPlanner(
  { kernel, pass, implementations = [] }: WorkloadOptions,
  variant: string,
): Planner {
  const { plan } = passNamed(kernel, pass);
  const other = implementations.find(({ name, planners }) =>
    name === variant && planners.has(plan)
  );
  if (other !== undefined) return other.planners.get(plan)!;
  const own = [...variantsOf(kernel, pass), ...namedVariantsOf(kernel, pass)];
  if (own.includes(variant)) {
    if (tunableOperator(kernel, pass) === undefined) return plan;
    return (gpu, options: object) => plan(gpu, { ...options, variant } as never);
  }
  const others = implementations.filter(({ planners }) => planners.has(plan));
  const known = [...own, ...others.map(({ name }) => name)].join(", ");
  throw new RangeError(
    `createWorkload: variant of ${kernel} ${pass} is ${variant}, wanted one of ${known}`,
  );
}

// Fills a tensor with NaN, so numbers that a kernel does not write show as errors.
function poison(gpu: Gpu, tensor: Tensor): void {
  gpu.device.queue.writeBuffer(tensor.buffer, 0, new Float32Array(tensor.length).fill(NaN));
}
