/** Small Llama-like models for tests of the twin and of the GPU's model. */
import { randomNormal, randomUniform } from "../../../src/random.ts";
import type { LlamaBatch } from "../../../src/reference/llama.ts";
import { type LlamaConfig, PLAIN_LLAMA } from "../../../src/reference/llama/config.ts";
import { listParameters, parameterLength } from "../../../src/reference/llama/parameters.ts";

/** A model of three layers, the first without attention, with grouped heads. */
export const SMALL_LLAMA: LlamaConfig = {
  vocabulary: 11,
  layers: 3,
  modelDim: 12,
  queryHeads: 4,
  keyValueHeads: 2,
  headDim: 8,
  feedForwardDim: 20,
  ...PLAIN_LLAMA,
  ropeBase: 100, // every pair rotates visibly within a few positions
  layersWithoutAttention: [0],
};

/**
 * Parameters that are far from their initial values: no gain is 1 and no θ is 0, logits differ
 * noticeably, and values have the size at which V-scale's valve is half open.
 */
export function llamaParameters(
  config: LlamaConfig,
  { seed }: { readonly seed: number },
): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(
    listParameters(config).map((parameter, i) => {
      const draw = { seed: 1000 * seed + i, length: parameterLength(parameter) };
      const { name } = parameter;
      if (name.endsWith("theta")) return [name, randomNormal(draw)];
      if (!parameter.decayed) {
        return [name, randomUniform({ ...draw, minimum: 0.5, maximum: 1.5 })];
      }
      const standardDeviation = name.includes("v_proj") ? 0.03 : 0.3;
      return [name, randomNormal({ ...draw, standardDeviation })];
    }),
  );
}

export function llamaBatch(
  { vocabulary }: Pick<LlamaConfig, "vocabulary">,
  { batch, context, seed }: {
    readonly batch: number;
    readonly context: number;
    readonly seed: number;
  },
): LlamaBatch & { readonly inputs: Uint32Array; readonly targets: Uint32Array } {
  const draw = (offset: number) =>
    Uint32Array.from(
      randomUniform({ seed: seed + offset, length: batch * context, maximum: vocabulary }),
    );
  return { batch, context, inputs: draw(0), targets: draw(500) };
}
