/** The parts of a measured call: seeded inputs on the GPU, a plan, and a check of its outputs. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { Planned } from "../../ops/shared/run_once.ts";
import type { Sample } from "./samples.ts";

/** Plans an operator's pass, such as `planRmsNormForward`. */
export type Planner = (gpu: Gpu, options: never) => Planned<object>;

/** Another way to compute some operators, with the same inputs and outputs. */
export interface Implementation {
  /** The implementation's name, which results show as the variant. */
  readonly name: string;
  /** The operators' own planners, each with its replacement; see {@linkcode replacing}. */
  readonly planners: ReadonlyMap<Planner, Planner>;
}

/**
 * Makes an entry of {@linkcode Implementation.planners}.
 *
 * @param own an operator's planner
 * @param other its replacement
 */
export function replacing<Plan extends Planner>(own: Plan, other: Plan): [Planner, Planner] {
  return [own, other];
}

/** A call, ready to run. */
export interface Prepared {
  readonly plan: Plan;
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** The largest error that passes in f32. */
  readonly tolerance: number;
  /** Takes all numbers of the outputs, by output, and pairs some of them with float64 values. */
  samples(read: Readonly<Record<string, Float32Array>>): Sample[] | Promise<Sample[]>;
}

/** Options for preparing a pass. */
export interface PrepareOptions<Lengths, Plan> {
  readonly dimensions: Lengths;
  /** Equal seeds give equal inputs, whatever the variant. */
  readonly seed: number;
  /** Plans the pass with the variant to measure. */
  readonly plan: Plan;
  /**
   * Hands a tensor or plan to the workload, which disposes of it, even if the preparation then
   * fails.
   */
  readonly keep: <Owned extends { dispose(): void }>(owned: Owned) => Owned;
}
