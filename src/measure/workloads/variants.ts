/** The variants of an operator, and the one that runs by default. */
import type { Gpu } from "../../gpu/gpu.ts";
import { type TunableOperator, tunableOperators } from "../../ops/tuning/operators.ts";
import type { PassName, Shape } from "./operator.ts";
import { type OperatorName, passNamed } from "./operators.ts";

/** An operator in one direction on a shape. */
export interface VariantQuestion {
  /** The operator's name. */
  readonly kernel: OperatorName;
  /** One of the passes that it has. */
  readonly pass: PassName;
  /** Its lengths. */
  readonly shape: Shape;
}

/**
 * How a variant computes: `f32` throughout; or `f16+f32`, with operands rounded to f16 where a
 * workgroup keeps them and sums in f32. Tensors are f32 in either case.
 */
export type NumberFormat = "f32" | "f16+f32";

/** All of them. */
export const numberFormats: readonly NumberFormat[] = ["f32", "f16+f32"];

/**
 * The operator by its name, if it has several variants.
 *
 * @param kernel the operator's name
 * @param pass its direction
 * @returns undefined for an operator with a single variant
 * @throws {RangeError} for an unknown operator or pass
 */
export function tunableOperator(kernel: OperatorName, pass: PassName): TunableOperator | undefined {
  return tunableOperators.get(passNamed(kernel, pass).operator);
}

/**
 * The names of an operator's variants. Not every adapter and shape can run each of them.
 *
 * @param kernel the operator's name
 * @param pass its direction
 * @returns in order of preference; `portable` is among them
 * @throws {RangeError} for an unknown operator or pass
 */
export function variantsOf(kernel: OperatorName, pass: PassName): readonly string[] {
  return tunableOperator(kernel, pass)?.variants ?? ["portable"];
}

/**
 * The names of an operator's variants that never run by default, because they round to f16.
 *
 * @param kernel the operator's name
 * @param pass its direction
 * @throws {RangeError} for an unknown operator or pass
 */
export function namedVariantsOf(kernel: OperatorName, pass: PassName): readonly string[] {
  return tunableOperator(kernel, pass)?.namedOnly ?? [];
}

/**
 * How a variant of an operator computes.
 *
 * @param kernel the operator's name
 * @param pass its direction
 * @param variant the name of one of its variants, or of another implementation, which counts as f32
 * @throws {RangeError} for an unknown operator or pass
 */
export function numberFormatOf(
  kernel: OperatorName,
  pass: PassName,
  variant: string,
): NumberFormat {
  return namedVariantsOf(kernel, pass).includes(variant) ? "f16+f32" : "f32";
}

/**
 * Why this adapter cannot run some variants of an operator.
 *
 * @param gpu the GPU
 * @param question operator, pass and shape
 * @param variants names; unknown ones are ignored
 * @returns a reason for each variant that cannot run
 * @throws {RangeError} for an unknown operator or pass
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
 * The name of the variant that runs by default on this adapter: what tuning chose, else what suits.
 *
 * @param gpu the GPU, with tuning's choices in `gpu.variants`
 * @param question operator, pass and shape
 * @throws {RangeError} for an unknown operator or pass
 */
export function chosenVariant(gpu: Gpu, { kernel, pass, shape }: VariantQuestion): string {
  return tunableOperator(kernel, pass)?.choose(gpu, shape.dimensions) ?? "portable";
}

/**
 * The name of the variant that tuning chose for such calls on this adapter.
 *
 * @param gpu the GPU, with tuning's choices in `gpu.variants`
 * @param question operator, pass and shape
 * @returns undefined where it chose none
 * @throws {RangeError} for an unknown operator or pass
 */
export function tunedVariant(
  gpu: Gpu,
  { kernel, pass, shape }: VariantQuestion,
): string | undefined {
  const operator = tunableOperator(kernel, pass);
  if (operator === undefined) return undefined;
  return gpu.variants.get(`${operator.operator} ${operator.shapeClass(shape.dimensions)}`);
}
