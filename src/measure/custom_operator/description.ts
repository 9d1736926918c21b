/** The exports of an operator's file. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Cost, Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { Dimensions } from "../workloads/operator.ts";
import type { HostTensor, TensorSource } from "./tensors.ts";

/**
 * Plans a call like the operators' `plan…` functions: returns the plan and every output by name.
 *
 * A RangeError says that the variant cannot run this call on this adapter; the bench then leaves
 * the variant out. The first variant must run everywhere.
 */
export type CustomPlanner<Lengths = Dimensions, Inputs extends string = string> = (
  gpu: Gpu,
  inputs: Readonly<Record<Inputs, Tensor>>,
  lengths: Lengths,
) => { readonly plan: Plan; readonly [output: string]: Plan | Tensor };

/** One pass of a custom operator. */
export interface CustomPass<Lengths = Dimensions, Inputs extends string = string> {
  /** Draws the inputs of a call. */
  readonly inputs: (lengths: Lengths, random: TensorSource) => Record<Inputs, HostTensor>;
  /**
   * Computes the expected numbers of every output in float64, row-major, from the inputs that the
   * GPU gets.
   */
  readonly twin: (
    inputs: Readonly<Record<Inputs, HostTensor>>,
    lengths: Lengths,
  ) => Readonly<Record<string, ArrayLike<number>>>;
  /** The least operations and bytes that a call needs. Every variant's plan must have this cost. */
  readonly cost: (lengths: Lengths) => Cost;
  /** One planner, or a planner for each variant by the variant's name, the default first. */
  readonly plan:
    | CustomPlanner<Lengths, Inputs>
    | Readonly<Record<string, CustomPlanner<Lengths, Inputs>>>;
  /**
   * The largest error that passes, relative to a scale. The scale is the largest magnitude in the
   * row of the error (rows run along the output's last dimension), but at least a hundredth of the
   * largest magnitude in the whole output. Default: 1e-5.
   */
  readonly tolerance?: number;
}

/**
 * A custom operator: the exports of its file. The fields that come from {@linkcode CustomPass}
 * describe the forward pass.
 *
 * `bench/operators/softcap.ts` in the repository is a worked example.
 */
export interface CustomOperator<
  Lengths = Dimensions,
  Inputs extends string = string,
  BackwardInputs extends string = string,
> extends CustomPass<Lengths, Inputs> {
  /** A unique name of lower-case words with hyphens. */
  readonly name: string;
  /**
   * The calls to measure, each given by its lengths, such as `{ n: 4096 }`. All calls name the same
   * lengths. `--shapes=quick` measures only the first call. If `shapes` is a function, it can
   * return smaller calls for adapters that compute on the CPU (`software`).
   */
  readonly shapes:
    | readonly Lengths[]
    | ((adapter: { readonly software: boolean }) => readonly Lengths[]);
  /** The backward pass, if there is one. */
  readonly backward?: CustomPass<Lengths, BackwardInputs>;
}

/** The tolerance of a pass that states none. */
export const DEFAULT_TOLERANCE = 1e-5;

/** Returns a pass's planners by variant name, the default variant first. */
export function variantsOfPass(
  { plan }: Pick<CustomPass, "plan">,
): Readonly<Record<string, CustomPlanner>> {
  return typeof plan === "function" ? { portable: plan } : plan;
}
