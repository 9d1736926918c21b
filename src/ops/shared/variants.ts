/**
 * An operator can have several variants: the portable one, and faster ones for some adapters and
 * shapes. The caller's choice runs, else tuning's choice for this adapter, else the first suitable
 * one in the operator's list.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Dispatch, ImageCopy } from "../../gpu/plan.ts";
import type { MatrixImage } from "../../gpu/plan/matrix_image.ts";

/** The dispatches of one call, and the buffers and images that only they need. */
export interface VariantPlan {
  /** In the order of execution. */
  readonly dispatches: readonly (Dispatch | ImageCopy)[];
  /** What is freed with the plan. */
  readonly scratch: readonly (GPUBuffer | MatrixImage)[];
}

/**
 * One way to compute an operator. `Shape` holds a call's lengths, `Call` the lengths and the
 * tensors. The operator checks a call before any variant receives it.
 */
export interface Variant<Shape, Call> {
  /** Unique among the operator's variants. The variant `portable` runs on every adapter. */
  readonly name: string;
  /**
   * Whether the variant is made for adapters that compute on the CPU. On hardware, such a variant
   * runs only if the caller names it: defaults and tuning never choose it. Default: false.
   */
  readonly forCpu?: boolean;
  /** Why the variant cannot run on this adapter or for this shape; undefined if it can. */
  unfit(gpu: Gpu, shape: Shape): string | undefined;
  /** Whether the variant is likely fast here. Without a tuned choice, the first such one runs. */
  suits(gpu: Gpu, shape: Shape): boolean;
  /** Makes scratch buffers and dispatches. Called only if `unfit` returns undefined. */
  plan(gpu: Gpu, call: Call): VariantPlan;
}

/** The call to choose a variant for. */
export interface VariantChoice<Shape, Call> {
  readonly operator: string;
  /** The class of shapes that share a winner, for example `D=64 T<=1024`. */
  readonly shapeClass: string;
  readonly shape: Shape;
  /** The name that the caller requests, if any. */
  readonly wanted: string | undefined;
  /**
   * Variants that run only if the caller names them, because they are less accurate: defaults and
   * tuning never choose them. Default: none.
   */
  readonly namedOnly?: readonly Variant<Shape, Call>[];
}

/**
 * Why a call that names no variant cannot run this variant: the reason of `unfit`, or that the
 * variant is made for the CPU and this adapter is hardware. Undefined if it can.
 */
export function unfitUnnamed<Shape, Call>(
  gpu: Gpu,
  variant: Variant<Shape, Call>,
  shape: Shape,
): string | undefined {
  return variant.unfit(gpu, shape) ??
    (variant.forCpu && !gpu.info.software
      ? "it is made for adapters that compute on the CPU"
      : undefined);
}

/**
 * Chooses the variant that a call runs.
 *
 * @param gpu the GPU, with its tuned choices in `gpu.variants`
 * @param variants the operator's variants in order of preference, the portable one last
 * @throws {RangeError} if the wanted variant does not exist or cannot run here, or if none can
 */
export function chooseVariant<Shape, Call>(
  gpu: Gpu,
  variants: readonly Variant<Shape, Call>[],
  { operator, shapeClass, shape, wanted, namedOnly = [] }: VariantChoice<Shape, Call>,
): Variant<Shape, Call> {
  if (wanted !== undefined) {
    const all = [...variants, ...namedOnly];
    const named = all.find(({ name }) => name === wanted);
    if (named === undefined) {
      const names = all.map(({ name }) => `"${name}"`).join(", ");
      throw new RangeError(
        `${operator}: variant is ${JSON.stringify(wanted)}, wanted one of ${names}`,
      );
    }
    const reason = named.unfit(gpu, shape);
    if (reason !== undefined) {
      throw new RangeError(`${operator}: variant "${wanted}" cannot run here: ${reason}`);
    }
    return named;
  }
  const tuned = gpu.variants.get(`${operator} ${shapeClass}`);
  const usable = variants.filter((variant) => unfitUnnamed(gpu, variant, shape) === undefined);
  const chosen =
    variants.find((variant) => variant.name === tuned && variant.unfit(gpu, shape) === undefined) ??
      usable.find((variant) => variant.suits(gpu, shape)) ?? usable.at(-1);
  if (chosen === undefined) throw new RangeError(`${operator}: no variant can run this shape here`);
  return chosen;
}
