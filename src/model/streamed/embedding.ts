/** Reads the embeddings of a batch's tokens from the disk. */
import { EMBEDDING } from "../../reference/llama/parameters.ts";
import type { WeightSource } from "../pretrained/weights.ts";

/**
 * Looks up the embeddings of tokens on the CPU, because the whole table may be too large for a
 * buffer of the GPU.
 *
 * @param source the weights: only these tokens' rows of the embedding are read, each row once
 * @param tokens [B · T]
 * @returns [B, T, d]
 * @throws {CheckpointError} if the weights cannot be read
 */
export async function embedTokens(
  source: WeightSource,
  tokens: Uint32Array,
): Promise<Float32Array<ArrayBuffer>> {
  const { modelDim } = source.architecture.config;
  const rows = new Map<number, Promise<Float32Array>>();
  for (const token of tokens) {
    if (rows.has(token)) continue;
    rows.set(token, source.read(EMBEDDING, { start: token, count: 1 }));
  }
  const read = new Map(
    await Promise.all([...rows].map(async ([token, row]) => [token, await row] as const)),
  );
  const embedded = new Float32Array(tokens.length * modelDim);
  tokens.forEach((token, i) => embedded.set(read.get(token)!, i * modelDim));
  return embedded;
}
