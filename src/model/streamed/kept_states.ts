/**
 * Keeps layers' states for the backward pass, as far as memory allows, instead of recomputing them:
 * a copy takes a hundredth of the time of the matrix products that it saves.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { LayerState } from "../llama/layer.ts";
import type { Workspace } from "../workspace.ts";

/**
 * A layer's tensors that the backward pass or `onLayer`'s trace needs. `merged` and `hidden` are
 * not among them, because only the weights' gradients need them. A layer's input needs no copy:
 * `StreamedLlama` keeps it.
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
   * @param workspace owns the copies
   * @param state the tensors that every layer's forward pass fills
   * @param options the layers to copy, in order of preference, and the bytes for all copies
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

  /** The number of layers that have memory for a copy. */
  get count(): number {
    return this.#copies.size;
  }

  /** Enqueues copying a layer's states away, if the layer has memory for a copy. */
  keep(layer: number): void {
    this.#copy(layer, (tensor, copy) => [tensor, copy]);
  }

  /**
   * Enqueues copying a layer's states back.
   *
   * @returns false if the layer has no memory for a copy
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
