/** The kernels that an operator has, and the one that runs by default. */
import type { Gpu } from "../gpu/gpu.ts";
import { type TunableOperator, tunableOperators } from "../ops/tunable.ts";
import type { KernelName, PassName, Shape } from "./shapes.ts";

/** A kernel in one direction on a shape. */
export interface VariantQuestion {
  readonly kernel: KernelName;
  readonly pass: PassName;
  readonly shape: Shape;
}

const operators: Readonly<Record<KernelName, Readonly<Partial<Record<PassName, string>>>>> = {
  "attention": { forward: "attentionForward", backward: "attentionBackward" },
  "attention-v-scale-full": { forward: "attentionForward", backward: "attentionBackward" },
  "attention-v-scale-backward-only": { forward: "attentionForward", backward: "attentionBackward" },
  "rms-norm": { forward: "rmsNormForward", backward: "rmsNormBackward" },
  "v-scale": { forward: "vScaleForward", backward: "vScaleBackward" },
  "attention-sink-statistics": { forward: "attentionSinkStatistics" },
  "matmul": { forward: "matmul" },
};

/**
 * The operator behind a kernel's name, if it has several kernels.
 *
 * @param kernel the kernel's name
 * @param pass its direction
 * @returns undefined for an operator with a single kernel
 * @throws {RangeError} for an unknown kernel or pass
 */
export function tunableOperator(kernel: KernelName, pass: PassName): TunableOperator | undefined {
  const name = operators[kernel]?.[pass];
  if (name === undefined) {
    const known = Object.entries(operators)
      .flatMap(([name, passes]) => Object.keys(passes).map((each) => `${name} ${each}`)).join(", ");
    throw new RangeError(
      `workloads: kernel and pass are ${kernel} ${pass}, wanted one of ${known}`,
    );
  }
  return tunableOperators.get(name);
}

/**
 * The names of an operator's kernels. Not every adapter and shape can run each of them.
 *
 * @param kernel the kernel's name
 * @param pass its direction
 * @returns in order of preference; `portable` is among them
 * @throws {RangeError} for an unknown kernel or pass
 */
export function variantsOf(kernel: KernelName, pass: PassName): readonly string[] {
  return tunableOperator(kernel, pass)?.variants ?? ["portable"];
}

/**
 * The name of the kernel that a call without a wish runs on this adapter: what tuning chose, else what suits.
 *
 * @param gpu the GPU, with tuning's choices in `gpu.variants`
 * @param question kernel, pass and shape
 * @throws {RangeError} for an unknown kernel or pass
 */
export function chosenVariant(gpu: Gpu, { kernel, pass, shape }: VariantQuestion): string {
  return tunableOperator(kernel, pass)?.choose(gpu, shape.dimensions) ?? "portable";
}

/**
 * The name of the kernel that tuning chose for such calls on this adapter.
 *
 * @param gpu the GPU, with tuning's choices in `gpu.variants`
 * @param question kernel, pass and shape
 * @returns undefined where it chose none
 * @throws {RangeError} for an unknown kernel or pass
 */
export function tunedVariant(
  gpu: Gpu,
  { kernel, pass, shape }: VariantQuestion,
): string | undefined {
  const operator = tunableOperator(kernel, pass);
  if (operator === undefined) return undefined;
  return gpu.variants.get(`${operator.operator} ${operator.shapeClass(shape.dimensions)}`);
}
