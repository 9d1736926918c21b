/** Runs a plan once. The operator `add`, for example, runs the plan that `planAdd` makes. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Plan } from "../../gpu/plan.ts";

/** A plan with the tensors that it writes. */
export type Planned<Result> = Result & { readonly plan: Plan };

/** Enqueues a plan once, disposes of it, and returns its output tensors. */
export function runOnce<Result>(gpu: Gpu, planned: Planned<Result>): Omit<Planned<Result>, "plan"> {
  const { plan, ...outputs } = planned;
  gpu.run(plan);
  plan.dispose();
  return outputs;
}
