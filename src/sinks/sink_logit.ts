/**
 * The sink logits of one layer. Each is one more logit in a query head's softmax, without a key or
 * a value vector.
 */
import { hasSinkLogit, type LlamaConfig } from "../reference/llama/config.ts";

/**
 * The sink logits of one layer, according to the model's configuration.
 *
 * @param sinks the logit of each query head if learned; ignored otherwise, when all logits are 0
 * @returns undefined without sink logits
 * @throws {TypeError} if the model learns the logits and `sinks` does not have one for each query
 *   head
 */
export function layerSinkLogits(
  config: LlamaConfig,
  sinks: ArrayLike<number> | undefined,
): readonly number[] | undefined {
  if (!hasSinkLogit(config)) return undefined;
  const { queryHeads, sinkLogit } = config;
  if (sinkLogit === "zero") return Array<number>(queryHeads).fill(0);
  if (sinks?.length !== queryHeads) {
    throw new TypeError(
      `sinks: sinks has ${sinks?.length ?? "no"} elements, wanted one for each of the ` +
        `${queryHeads} query heads`,
    );
  }
  return Array.from(sinks);
}
