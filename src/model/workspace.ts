/** Owns the plans and tensors of a model, and frees them together. */
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "../gpu/plan.ts";
import { Tensor } from "../gpu/tensor.ts";

export class Workspace {
  readonly gpu: Gpu;
  readonly #disposables: Disposable[] = [];

  constructor(gpu: Gpu) {
    this.gpu = gpu;
  }

  /** Takes ownership of a tensor or plan. */
  keep<Item extends Disposable>(item: Item): Item {
    this.#disposables.push(item);
    return item;
  }

  /** Takes ownership of a plan and its output tensors, and appends the plan to `plans`. */
  add<Result extends { readonly plan: Plan }>(plans: Plan[], planned: Result): Result {
    for (const item of Object.values(planned)) {
      if (item instanceof Tensor) this.keep(item);
    }
    plans.push(this.keep(planned.plan));
    return planned;
  }

  /**
   * Views a tensor's memory with another shape.
   *
   * @param tensor a tensor that lives at least as long as the workspace
   * @param shape a shape with as many elements as the tensor
   */
  view(tensor: Tensor, shape: readonly number[]): Tensor {
    return tensor.slice(0, shape);
  }

  /** Frees everything. Work already enqueued still finishes. */
  [Symbol.dispose](): void {
    for (const item of this.#disposables.splice(0)) item[Symbol.dispose]();
  }
}
