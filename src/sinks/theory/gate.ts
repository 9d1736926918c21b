/**
 * Checks the gradients at the gates of a traced layer. Gates with logits x turn a head's output y
 * into y′ = σ(x) ⊙ y, so ∇y = σ(x) ⊙ ∇y′: no gradient reaches the values through a closed gate.
 *
 * Rounding: each element of ∇y is one rounded product of two traced numbers. A product below the
 * smallest normal number may be flushed to 0.
 *
 * Source: Qiu et al., NeurIPS 2025.
 */
import { precisionOf } from "../numbers.ts";
import type { AttentionLayer } from "./head.ts";
import type { CheckMeter } from "./slack.ts";

/** How many roundings to allow for one product: a compiler may reorder operations. */
const ROUNDINGS = 4;

/** Checks one layer of a trace, if it has gates. */
export function checkGates(check: CheckMeter, { attention, shape, layer }: AttentionLayer): void {
  const { opening, gradients } = attention;
  const { gated, output } = gradients;
  if (opening === undefined || gated === undefined) return;
  const { batch, queryHeads, context, headDim } = shape;
  const width = queryHeads * headDim;
  const { unit, tiny } = precisionOf(output);
  // The number of gates per token. `opening` and `gated` contain all sequences of the trace, but
  // `batch` counts only the sequences to check. So compute the number of tokens from `gated`.
  const gates = opening.length / (gated.length / width);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < context; t++) {
      const row = b * context + t;
      for (let head = 0; head < queryHeads; head++) {
        const own = ((b * queryHeads + head) * context + t) * headDim;
        let excess = 0, scale = 0;
        for (let i = 0; i < headDim; i++) {
          const column = head * headDim + i;
          const open = opening[row * gates + Math.floor(column * gates / width)]!;
          const wanted = open * gated[row * width + column]!;
          excess += (output[own + i]! - wanted) ** 2;
          scale += wanted ** 2;
        }
        check.identity({
          excess: Math.sqrt(excess),
          scale: Math.sqrt(scale) + Math.sqrt(headDim) * tiny / unit,
          tolerance: ROUNDINGS * unit,
          where: () => `layer ${layer}, sequence ${b}, query head ${head}, position ${t}`,
        });
      }
    }
  }
}
