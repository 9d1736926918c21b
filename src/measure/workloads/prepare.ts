/**
 * What a measured call is made of: seeded inputs on the GPU, a plan, and a check of its outputs.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { Planned } from "../../ops/shared/run_once.ts";
import type { Sample } from "./samples.ts";

/** Plans an operator's pass, such as `planRmsNormForward`. */
export type Planner = (gpu: Gpu, options: never) => Planned<object>;

/** Another way to compute some of the operators, with the same inputs and outputs. */
export interface Implementation {
  /** The name that results carry as their variant. */
  readonly name: string;
  /**
   * The operators' own planners, each with the one that takes its place; see {@linkcode replacing}.
   */
  readonly planners: ReadonlyMap<Planner, Planner>;
}

/**
 * An entry of {@linkcode Implementation.planners}.
 *
 * @param own an operator's planner
 * @param other what takes its place
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
  /** Sampled numbers of the outputs, and the same in float64. */
  samples(read: Readonly<Record<string, Float32Array>>): Sample[] | Promise<Sample[]>;
}

/** What a pass is prepared from. */
export interface PrepareOptions<Lengths, Plan> {
  readonly dimensions: Lengths;
  /** Equal seeds give equal inputs, to every variant. */
  readonly seed: number;
  /** Plans the pass with the variant to measure. */
  readonly plan: Plan;
  /**
   * Hands something to the workload, which disposes of it; also where the preparation then fails.
   */
  readonly keep: <Owned extends { dispose(): void }>(owned: Owned) => Owned;
}
