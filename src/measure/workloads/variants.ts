/** An operator's variants, and the default one. */
import type { Gpu } from "../../gpu/gpu.ts";
import { type TunableOperator, tunableOperators } from "../../ops/tuning/operators.ts";
import type { PassName, Shape } from "./operator.ts";
import { type OperatorName, passNamed } from "./operators.ts";

/** An operator's pass on a shape. */
export interface VariantQuestion {
  /** The operator's name. */
  readonly kernel: OperatorName;
  /** One of the operator's passes. */
  readonly pass: PassName;
  /** The operator's lengths. */
  readonly shape: Shape;
}

/**
 * The number format in which a variant computes. `f32` variants use only f32. `f16+f32` variants
 * round operands to f16 in workgroup memory and add in f32. Tensors are always f32.
 */
export type NumberFormat = "f32" | "f16+f32";

/** All number formats. */
export const numberFormats: readonly NumberFormat[] = ["f32", "f16+f32"];

/**
 * Finds the description that tuning has of an operator's pass.
 *
 * @returns undefined if tuning does not know the operator, which then has a single variant
 * @throws {RangeError} for an unknown operator or pass
 */
export function tunableOperator(kernel: OperatorName, pass: PassName): TunableOperator | undefined {
  return tunableOperators.get(passNamed(kernel, pass).operator);
}

/**
 * Lists the names of an operator's variants. Some adapters and shapes cannot run all of them.
 *
 * @param kernel the operator's name
 * @param pass `forward` or `backward`
 * @returns the names in order of preference; the suite's operators all have `portable`
 * @throws {RangeError} for an unknown operator or pass
 */
export function variantsOf(kernel: OperatorName, pass: PassName): readonly string[] {
  return tunableOperator(kernel, pass)?.variants ?? ["portable"];
}

/**
 * Lists the names of an operator's variants that never run by default, because they round to f16.
 *
 * @param kernel the operator's name
 * @param pass `forward` or `backward`
 * @throws {RangeError} for an unknown operator or pass
 */
export function namedVariantsOf(kernel: OperatorName, pass: PassName): readonly string[] {
  return tunableOperator(kernel, pass)?.namedOnly ?? [];
}

/**
 * The number format of an operator's variant.
 *
 * @param kernel the operator's name
 * @param pass `forward` or `backward`
 * @param variant the name of a variant, or of another implementation, which counts as f32
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
 * Tells why this adapter cannot run some variants of an operator.
 *
 * @param variants the variants' names; unknown ones are ignored
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
 * The name of the default variant on this adapter: the tuned choice, else the first suitable one.
 *
 * @param gpu the GPU, with its tuned choices in `gpu.variants`
 * @param question the operator, pass and shape
 * @throws {RangeError} for an unknown operator or pass
 */
export function chosenVariant(gpu: Gpu, { kernel, pass, shape }: VariantQuestion): string {
  return tunableOperator(kernel, pass)?.choose(gpu, shape.dimensions) ?? "portable";
}

/**
 * The name of the variant that tuning chose on this adapter, for the operator, the pass and the
 * shape's class.
 *
 * @returns undefined if there is none
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
