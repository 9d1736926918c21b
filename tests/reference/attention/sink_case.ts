/** Cases of attention with learned sinks. */
import type * as reference from "../../../src/reference/mod.ts";
import { type AttentionCase, type AttentionDescription, drawAttention, normal } from "../cases.ts";

/** An attention case with sinks, and a loss that depends on logSumExp. */
export interface SinkCase extends AttentionCase {
  readonly sinkLogit: reference.ReferenceTensor;
  readonly logSumExpGradient: reference.ReferenceTensor;
}

/** A case with a sink for each query head and a gradient for each logSumExp. */
export function drawSinks(description: AttentionDescription): SinkCase {
  const { batch, keyHeads, group, length, seed } = description;
  const heads = keyHeads * group;
  return {
    ...drawAttention(description),
    sinkLogit: normal([heads], { seed: seed + 5, size: 2 }),
    logSumExpGradient: normal([batch, heads, length], { seed: seed + 6 }),
  };
}
