/**
 * The states of layers that the way back needs, kept instead of computed again as far as memory
 * allows: a copy costs a hundredth of the matrix products that it saves.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { LayerState } from "../llama/layer.ts";
import type { Workspace } from "../workspace.ts";

/**
 * The tensors that the backward pass to the states reads, and those that its trace shows. A layer's
 * input is kept anyway; the inputs of weight gradients, `merged` and `hidden`, are not read.
 */
function tensorsOf({ attention, half, mlp, output }: LayerState): Tensor[] {
  const own = attention === undefined ? [] : [
    attention.norm,
    attention.inverseRms,
    ...Object.values(attention.headNorm ?? {}),
    attention.query,
    attention.key,
    attention.value,
    attention.output,
    attention.logSumExp,
    attention.residual,
  ];
  return [...own, half, mlp.norm, mlp.inverseRms, mlp.projections, mlp.residual, output];
}

/** Copies of layers' states. */
export class KeptStates {
  readonly #gpu: Gpu;
  readonly #tensors: readonly Tensor[];
  readonly #copies: ReadonlyMap<number, Tensor>;

  /**
   * @param workspace takes charge of the copies
   * @param state what every layer's forward pass fills
   * @param options the layers to copy, in order of preference, and the bytes available for all
   *   copies
   */
  constructor(
    workspace: Workspace,
    state: LayerState,
    { layers, bytes }: { readonly layers: readonly number[]; readonly bytes: number },
  ) {
    const { gpu } = workspace;
    this.#gpu = gpu;
    this.#tensors = tensorsOf(state);
    const length = this.#tensors.reduce((sum, tensor) => sum + tensor.length, 0);
    const fits = 4 * length <= gpu.largestStorage ? Math.floor(Math.max(0, bytes) / 4 / length) : 0;
    this.#copies = new Map(
      layers.slice(0, fits).map((layer) => [layer, workspace.keep(gpu.empty([length]))]),
    );
  }

  /** How many layers have a copy. */
  get count(): number {
    return this.#copies.size;
  }

  /** Enqueues copying a layer's states away, if there is a place for them. */
  keep(layer: number): void {
    this.#copy(layer, (tensor, copy) => [tensor, copy]);
  }

  /**
   * Enqueues copying a layer's states back.
   *
   * @returns false if there is no copy of them
   */
  restore(layer: number): boolean {
    return this.#copy(layer, (tensor, copy) => [copy, tensor]);
  }

  #copy(
    layer: number,
    direction: (tensor: Tensor, copy: Tensor) => [from: Tensor, to: Tensor],
  ): boolean {
    const whole = this.#copies.get(layer);
    if (whole === undefined) return false;
    this.#gpu.guard("StreamedLlama", () => {
      const encoder = this.#gpu.device.createCommandEncoder();
      let start = 0;
      for (const tensor of this.#tensors) {
        const [from, to] = direction(tensor, whole.slice(start, [tensor.length]))
          .map(({ region }) => region) as [Tensor["region"], Tensor["region"]];
        encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, from.size);
        start += tensor.length;
      }
      this.#gpu.device.queue.submit([encoder.finish()]);
    });
    return true;
  }
}
