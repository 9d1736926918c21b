/** The plans and tensors of a model, freed together. */
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "../gpu/plan.ts";
import { Tensor } from "../gpu/tensor.ts";

/** Takes charge of what planning makes. */
export class Workspace {
  readonly gpu: Gpu;
  readonly #disposables: Disposable[] = [];

  constructor(gpu: Gpu) {
    this.gpu = gpu;
  }

  /** Takes charge of a tensor or plan. */
  keep<Item extends Disposable>(item: Item): Item {
    this.#disposables.push(item);
    return item;
  }

  /**
   * Takes charge of a plan and its output tensors, and puts the plan at the end of a list.
   *
   * @param plans the list
   * @param planned what an operator prepared
   * @returns the same, for its output tensors
   */
  add<Result extends { readonly plan: Plan }>(plans: Plan[], planned: Result): Result {
    for (const item of Object.values(planned)) {
      if (item instanceof Tensor) this.keep(item);
    }
    plans.push(this.keep(planned.plan));
    return planned;
  }

  /**
   * The same memory under another shape.
   *
   * @param tensor a tensor that the workspace outlives
   * @param shape of as many elements
   */
  view(tensor: Tensor, shape: readonly number[]): Tensor {
    return tensor.slice(0, shape);
  }

  /** Frees everything. Work already enqueued still finishes. */
  [Symbol.dispose](): void {
    for (const item of this.#disposables.splice(0)) item[Symbol.dispose]();
  }
}
