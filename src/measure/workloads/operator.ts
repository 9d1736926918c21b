/** What the bench must know about an operator to measure it. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Planner, Prepared, PrepareOptions } from "./prepare.ts";

/** The direction of a measured operator. */
export type PassName = "forward" | "backward";

/**
 * How many shapes to measure: `quick` has one or two, `default` has a handful, and `full` has all.
 * Each grid includes the smaller ones.
 */
export type GridName = "quick" | "default" | "full";

/** Lengths by name, such as `{ rows, d }`. */
export type Dimensions = Readonly<Record<string, number>>;

/** A shape of one operator. */
export interface Shape<Lengths = Dimensions> {
  /**
   * The shape's name. It is often a model's name, with a suffix for each difference from the
   * model's layer: `-h8` for 8 query heads, `-t256` for 256 tokens, `-b4` for 4 sequences.
   */
  readonly name: string;
  /** The operator's lengths by name. */
  readonly dimensions: Lengths;
}

/** A shape, and the smallest grid that includes it. */
export interface GridShape<Lengths = Dimensions> extends Shape<Lengths> {
  /** The smallest grid that includes it. */
  readonly grid: GridName;
}

/** One pass of an operator. */
export interface PassDescription<Lengths, Plan extends Planner> {
  /**
   * The name of the pass's operator in `src/ops`, for errors and tuned choices, such as
   * `rmsNormForward`.
   */
  readonly operator: string;
  /** The pass's planner in `src/ops`. */
  readonly plan: Plan;
  /** Makes the inputs and plans the call. The result can compute some outputs in float64. */
  readonly prepare: (gpu: Gpu, options: PrepareOptions<Lengths, Plan>) => Prepared;
  /** A rough count of a run's operations or of its bytes, whichever is greater. */
  readonly roughWork: (dimensions: Lengths) => number;
  /** The operator whose forward pass on the same lengths computes some of this pass's inputs. */
  readonly inputsFrom?: "attention";
}

/** An operator, with all that the bench, the tuner and the browser's page need to measure it. */
export interface OperatorDescription<
  Lengths,
  Forward extends Planner,
  Backward extends Planner,
> {
  /**
   * Identifies the version of a custom operator; the suite's operators have the suite's commit
   * instead.
   */
  readonly digest?: string;
  readonly passes: {
    readonly forward?: PassDescription<Lengths, Forward>;
    readonly backward?: PassDescription<Lengths, Backward>;
  };
  /** The shapes for hardware; if `software` is true, those for adapters that compute on the CPU. */
  readonly shapes: (software: boolean) => readonly GridShape<Lengths>[];
  /**
   * The next smaller shape, with a quarter to half of the work; undefined if there is none, as for
   * custom operators.
   */
  readonly smaller: (dimensions: Lengths) => Lengths | undefined;
}

/** An operator whose lengths have names that are known only at run time. */
export type MeasuredOperator = OperatorDescription<Dimensions, Planner, Planner>;

/** A pass of such an operator. */
export type MeasuredPass = PassDescription<Dimensions, Planner>;

/**
 * Describes an operator. The types ensure that shapes, preparation and planner use the same
 * lengths.
 */
export function measured<Lengths, Forward extends Planner, Backward extends Planner>(
  description: OperatorDescription<Lengths, Forward, Backward>,
): MeasuredOperator {
  return description as unknown as MeasuredOperator;
}

/**
 * Makes a smaller shape: finds the first length above its least value, and divides it by 4.
 *
 * @param least the lengths that may shrink, in order, each with its least value
 * @returns undefined if no length is above its least value
 */
export function quarter<Lengths>(
  dimensions: Lengths,
  least: { readonly [Name in keyof Lengths]?: number },
): Lengths | undefined {
  for (const name of Object.keys(least) as (keyof Lengths)[]) {
    const length = dimensions[name] as number;
    if (length > least[name]!) return { ...dimensions, [name]: Math.ceil(length / 4) };
  }
  return undefined;
}

/** Writes lengths as text, for example `rows=512 d=2048`. */
export function lengthsText(dimensions: Dimensions): string {
  return Object.entries(dimensions).map(([name, length]) => `${name}=${length}`).join(" ");
}
