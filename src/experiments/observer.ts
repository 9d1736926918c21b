/** Callbacks that receive every batch's numbers, because a measurement does not keep them. */
import type { LayerTrace } from "../reference/llama/trace.ts";
import type { TokenBatch } from "./tasks/task.ts";

/** Callbacks of a measurement. */
export interface MeasurementObserver {
  /**
   * Called for each batch, before its layers.
   *
   * @param given the tokens
   * @param tokenLosses in nats, [B · T]
   */
  onBatch(given: TokenBatch, tokenLosses: ArrayLike<number>): void | Promise<void>;
  /**
   * Called for each layer of the batch, from the last to the first.
   *
   * @param states the layer's states, and the gradients of the batch's mean loss with respect to
   *   them
   */
  onLayer(layer: number, states: LayerTrace<Float32Array>): void | Promise<void>;
}
