/** The kernels that an operator has, and the one that runs by default. */
import type { Gpu } from "../../gpu/gpu.ts";
import { type TunableOperator, tunableOperators } from "../../ops/tuning/operators.ts";
import type { PassName, Shape } from "./operator.ts";
import { type OperatorName, passNamed } from "./operators.ts";

/** A kernel in one direction on a shape. */
export interface VariantQuestion {
  readonly kernel: OperatorName;
  readonly pass: PassName;
  readonly shape: Shape;
}

/**
 * How a kernel computes: `f32` throughout; or `f16+f32`, with operands rounded to f16 where a workgroup keeps them and
 * sums in f32. Tensors are f32 in either case.
 */
export type NumberFormat = "f32" | "f16+f32";

/** All of them. */
export const numberFormats: readonly NumberFormat[] = ["f32", "f16+f32"];

/**
 * The operator behind a kernel's name, if it has several kernels.
 *
 * @param kernel the kernel's name
 * @param pass its direction
 * @returns undefined for an operator with a single kernel
 * @throws {RangeError} for an unknown kernel or pass
 */
export function tunableOperator(kernel: OperatorName, pass: PassName): TunableOperator | undefined {
  return tunableOperators.get(passNamed(kernel, pass).operator);
}

/**
 * The names of an operator's kernels. Not every adapter and shape can run each of them.
 *
 * @param kernel the kernel's name
 * @param pass its direction
 * @returns in order of preference; `portable` is among them
 * @throws {RangeError} for an unknown kernel or pass
 */
export function variantsOf(kernel: OperatorName, pass: PassName): readonly string[] {
  return tunableOperator(kernel, pass)?.variants ?? ["portable"];
}

/**
 * The names of an operator's kernels that run only where they are named, since they round to f16.
 *
 * @param kernel the kernel's name
 * @param pass its direction
 * @throws {RangeError} for an unknown kernel or pass
 */
export function namedVariantsOf(kernel: OperatorName, pass: PassName): readonly string[] {
  return tunableOperator(kernel, pass)?.namedOnly ?? [];
}

/**
 * How a kernel of an operator computes.
 *
 * @param kernel the kernel's name
 * @param pass its direction
 * @param variant the name of one of its kernels, or of another implementation, which is taken for f32
 * @throws {RangeError} for an unknown kernel or pass
 */
export function numberFormatOf(
  kernel: OperatorName,
  pass: PassName,
  variant: string,
): NumberFormat {
  return namedVariantsOf(kernel, pass).includes(variant) ? "f16+f32" : "f32";
}

/**
 * Why this adapter cannot run some kernels of an operator.
 *
 * @param gpu the GPU
 * @param question kernel, pass and shape
 * @param variants names; those that the operator does not have are passed over
 * @returns the reasons by name, of those that cannot run
 * @throws {RangeError} for an unknown kernel or pass
 */
export function unfitVariants(
  gpu: Gpu,
  { kernel, pass, shape }: VariantQuestion,
  variants: readonly string[],
): Readonly<Record<string, string>> {
  const operator = tunableOperator(kernel, pass);
  const known = [...variantsOf(kernel, pass), ...namedVariantsOf(kernel, pass)];
  return Object.fromEntries(
    variants.filter((name) => known.includes(name)).flatMap((name) => {
      const reason = operator?.unfit(gpu, shape.dimensions, name, { named: true });
      return reason === undefined ? [] : [[name, reason]];
    }),
  );
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
