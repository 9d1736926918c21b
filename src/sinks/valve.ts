/** V-scale in one layer: its mode, θ and constants. */
import { type LlamaConfig, vScaleConstant } from "../reference/llama/config.ts";

export interface LayerValve {
  /** Whether V-scale acts on both passes, or on the backward pass only. */
  readonly mode: "full" | "backward-only";
  /** V-scale's θ of each value head. */
  readonly theta: readonly number[];
  /**
   * V-scale's constant C = d D σ² exp θ of each value head, where σ is the standard deviation of
   * initial weights.
   */
  readonly constants: readonly number[];
}

/**
 * V-scale of one layer, according to the model's configuration.
 *
 * @param theta θ of each value head if learned; undefined otherwise, which means θ = 0
 * @returns undefined without V-scale
 * @throws {TypeError} if the model learns θ and `theta` does not have one value per value head
 */
export function layerValve(
  config: LlamaConfig,
  theta: ArrayLike<number> | undefined,
): LayerValve | undefined {
  if (config.vScale === "none") return undefined;
  const { keyValueHeads } = config;
  if (config.vScale === "learned" && theta?.length !== keyValueHeads) {
    throw new TypeError(
      `sinks: theta has ${theta?.length ?? "no"} elements, wanted one for each of the ` +
        `${keyValueHeads} value heads`,
    );
  }
  const values = Array.from({ length: keyValueHeads }, (_, head) => theta?.[head] ?? 0);
  return {
    mode: config.vScale === "backward-only" ? "backward-only" : "full",
    theta: values,
    constants: values.map((value) => vScaleConstant(config) * Math.exp(value)),
  };
}
