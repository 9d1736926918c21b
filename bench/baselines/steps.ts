import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Kernel } from "../../src/gpu/pipelines.ts";
import type { Scalar } from "../../src/gpu/owner.ts";
import { type Dispatch, Plan } from "../../src/gpu/plan.ts";
import type { Planned } from "../../src/ops/shared/run_once.ts";
import { spreadWorkgroups } from "../../src/ops/shared/validation.ts";

/** Collects a baseline's dispatches, and the buffers through which they pass numbers on. */
export class Steps {
  readonly dispatches: Dispatch[] = [];
  readonly scratch: GPUBuffer[] = [];
  readonly #gpu: Gpu;

  /** @param gpu the GPU to plan for */
  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * Allocates a buffer of float32 numbers that one dispatch writes for another. The plan will own
   * it.
   *
   * @throws {RangeError} if the adapter does not allow a buffer of this size
   */
  buffer(elements: number): GPUBuffer {
    const buffer = this.#gpu.storage(4 * elements);
    this.scratch.push(buffer);
    return buffer;
  }

  /** Adds a dispatch. */
  add(kernel: Kernel, step: Omit<Dispatch, "kernel">): void {
    this.dispatches.push({ kernel, ...step });
  }

  /**
   * Adds a dispatch over `count` items, `perWorkgroup` of them per workgroup.
   *
   * @param kernel must number its workgroups by y * num_workgroups.x + x, because
   *   `spreadWorkgroups` dispatches them over x and y
   * @param step `parameters` are u32; `last`, if given, is an f32 parameter after `parameters`
   */
  spread(
    kernel: Kernel,
    { count, perWorkgroup, parameters, last, buffers }: {
      readonly count: number;
      readonly perWorkgroup: number;
      readonly parameters: readonly number[];
      readonly last?: number;
      readonly buffers: readonly GPUBuffer[];
    },
  ): void {
    const workgroups = spreadWorkgroups(this.#gpu, Math.ceil(count / perWorkgroup));
    const f32 = last === undefined ? [] : [{ f32: last }];
    this.add(kernel, { parameters: [...u32(parameters), ...f32], buffers, workgroups });
  }
}

/** Integers as a kernel's parameters. */
export function u32(numbers: readonly number[]): Scalar[] {
  return numbers.map((number) => ({ u32: number }));
}

/**
 * Plans an operator with other dispatches than its own. The operator's own planner checks the
 * arguments, makes the outputs and states the cost.
 *
 * @param planned the result of the operator's own planner
 * @param gather adds the other dispatches, which must write the outputs that the planner made
 * @throws {RangeError} if a buffer is larger than the adapter allows; nothing stays allocated
 */
export function replan<Result extends object>(
  gpu: Gpu,
  planned: Planned<Result>,
  gather: (steps: Steps, outputs: Result) => void,
): Planned<Result> {
  const { plan: own, ...outputs } = planned;
  const steps = new Steps(gpu);
  const operator = `naive ${own.operator}`;
  try {
    gather(steps, outputs as unknown as Result);
    const { dispatches, scratch } = steps;
    const plan = new Plan(gpu, { operator, cost: own.cost, dispatches, scratch });
    return { ...outputs, plan } as unknown as Planned<Result>;
  } catch (error) {
    for (const buffer of steps.scratch) gpu.free(buffer);
    for (const output of Object.values(outputs)) (output as { dispose(): void }).dispose();
    throw error;
  } finally {
    own.dispose();
  }
}
