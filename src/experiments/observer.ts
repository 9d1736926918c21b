/** Looks at every batch's numbers while they are measured: they are not kept. */
import type { LayerTrace } from "../reference/llama/trace.ts";
import type { TokenBatch } from "./tasks/task.ts";

/** What is called while a model is measured. */
export interface MeasurementObserver {
  /**
   * Called for each batch, in front of its layers.
   *
   * @param given the tokens
   * @param tokenLosses in nats, [B · T]
   */
  onBatch(given: TokenBatch, tokenLosses: ArrayLike<number>): void | Promise<void>;
  /**
   * Called for each layer of the batch, from the last to the first.
   *
   * @param layer which
   * @param states and gradients by them, of the batch's mean loss
   */
  onLayer(layer: number, states: LayerTrace<Float32Array>): void | Promise<void>;
}
