/** Counts the memory of a pretrained model's passes before anything is allocated. */
import { createDryGpu } from "../../gpu/dry_gpu.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { StreamedLlama, type StreamedLlamaOptions } from "../streamed.ts";
import { UNSETTLED_BYTES } from "./weights.ts";

/** Bytes of GPU memory; of main memory if the adapter computes on the CPU. */
export interface StreamedMemory {
  /** Bytes that are allocated as long as the model exists. */
  readonly model: number;
  /** The most bytes that a driver holds for pending uploads and for one tensor's readback. */
  readonly transfers: number;
  readonly total: number;
}

/**
 * Counts the bytes that a {@linkcode StreamedLlama} allocates, by planning it on a GPU that
 * allocates nothing.
 *
 * @throws {RangeError} for an impossible model, batch or context, or sizes beyond the adapter's
 *   limits
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { openWeights } from "../pretrained/weights.ts";
 * import { streamedMemory } from "./memory.ts";
 *
 * using gpu = await openGpu();
 * using source = await openWeights("fixtures/pretrained/qwen3");
 * console.log(streamedMemory(gpu, { source, batch: 1, context: 64 }).total / 1e6, "MB");
 * ```
 */
export function streamedMemory(gpu: Gpu, options: StreamedLlamaOptions): StreamedMemory {
  using dry = createDryGpu(gpu.info);
  for (const [key, variant] of gpu.variants) dry.variants.set(key, variant);
  using _ = new StreamedLlama(dry, options);
  const model = dry.memory.bytes;
  const { config } = options.source.architecture;
  const width = Math.max(config.modelDim, config.queryHeads * config.headDim);
  const transfers = UNSETTLED_BYTES + 4 * options.batch * options.context * width;
  return { model, transfers, total: model + transfers };
}
