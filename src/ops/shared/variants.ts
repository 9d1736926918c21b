/**
 * An operator can have several variants: the portable one, and faster ones for some adapters and
 * shapes. The caller chooses which one runs, else tuning did for this adapter, else it is the first
 * in the operator's list that suits.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Dispatch } from "../../gpu/plan.ts";

/** The dispatches of one call, and the buffers they need beside the call's own. */
export interface VariantPlan {
  /** In the order of execution. */
  readonly dispatches: readonly Dispatch[];
  /** Freed with the plan. */
  readonly scratch: readonly GPUBuffer[];
}

/**
 * One way of computing an operator. `Shape` holds a call's lengths, `Call` its tensors as well, all
 * checked.
 */
export interface Variant<Shape, Call> {
  /** Unique within the operator; `portable` runs everywhere. */
  readonly name: string;
  /**
   * Made for adapters that compute on the CPU: on hardware, neither a default nor tuning takes it,
   * and it runs only where the caller names it. Default: false.
   */
  readonly forCpu?: boolean;
  /** Why this adapter or this shape cannot run it; undefined if it can. */
  unfit(gpu: Gpu, shape: Shape): string | undefined;
  /** Whether the variant is a good choice before any measurement. */
  suits(gpu: Gpu, shape: Shape): boolean;
  /** Allocates scratch and prepares the dispatches. Called only where `unfit` is undefined. */
  plan(gpu: Gpu, call: Call): VariantPlan;
}

/** What to choose for. */
export interface VariantChoice<Shape, Call> {
  readonly operator: string;
  /** What shapes share a winner, for example `D=64 T<=1024`. */
  readonly shapeClass: string;
  readonly shape: Shape;
  /** A name the caller asked for. */
  readonly wanted: string | undefined;
  /**
   * Variants that run only where the caller names them, since they compute less exactly: neither
   * preference nor tuning ever chooses them. Default: none.
   */
  readonly namedOnly?: readonly Variant<Shape, Call>[];
}

/**
 * Why a call that names no variant cannot run this one: `unfit`, or that it is made for the CPU and
 * this is hardware.
 *
 * @param gpu the GPU
 * @param variant the variant
 * @param shape the lengths of the call
 * @returns the reason, or undefined if it can
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
 * @param gpu the GPU, with the choices that tuning made for it in `gpu.variants`
 * @param variants the operator's variants in order of preference, the portable one last
 * @param choice the call
 * @throws {RangeError} if the wanted variant does not exist, or cannot run here
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
