/**
 * The properties that every variant of attention must have besides agreement with the twin on drawn
 * cases: the theory's laws, what holds bit for bit, the promised accuracy, learned sinks, and
 * `precise`.
 */
import {
  type AttentionDescription,
  BACKWARD_ONLY,
  describeAttention,
  FULL,
} from "../../attention/cases.ts";
import type { KernelProperty } from "../../forced_kernels.ts";
import { attentionKeepsHeadsApart, vScaleLeavesTheWeightsAlone } from "./bits.ts";
import {
  attentionIsAdjoint,
  attentionObeysItsIdentities,
  softmaxIsShiftInvariant,
} from "./laws.ts";
import { attentionBackwardPassesNonFinite, attentionForwardPassesNonFinite } from "./non_finite.ts";
import {
  preciseBackwardKeepsFourDigits,
  preciseBackwardMatchesTwin,
  preciseExamples,
  strongSinkExamples,
} from "./precise.ts";
import {
  attentionWithSinksMatchesTwin,
  sinkExamples,
  sinksHaveLimits,
  sinksObeyTheirIdentities,
  sinksStayInTheirHeads,
} from "./sinks.ts";
import { attentionKeepsItsPromise } from "./twin.ts";

/**
 * The properties, on a few pinned cases.
 *
 * @param headDim the head dimension of all cases: some kernels compile anew for each head
 *   dimension, which takes most of the time
 */
export function lawsOfAttention(headDim: number): readonly KernelProperty[] {
  const describe = (description: Partial<AttentionDescription>) =>
    describeAttention({ ...description, headDim });
  const several = describe({ batch: 2, keyHeads: 2, group: 2, length: 37, seed: 61 });
  const scaled = describe({ keyHeads: 2, length: 35, seed: 62, vScale: FULL });
  const backwardOnly = describe({ keyHeads: 2, length: 33, seed: 63, vScale: BACKWARD_ONLY });
  const short = describe({ length: 5, seed: 64, pattern: "sink" });
  const single = describe({ length: 1, seed: 65 });
  // In these cases the derivative in the drawn direction is large compared with rounding.
  const steep = describe({ length: 20, seed: 84 });
  const steepScaled = describe({ length: 12, seed: 85, vScale: FULL });
  const withHeadDim = (examples: readonly AttentionDescription[]) => ({
    examples: examples.map((each) => ({ ...each, headDim })),
    runs: 0,
  });
  const sinks = withHeadDim(sinkExamples);
  const precise = withHeadDim(preciseExamples.slice(0, 3));
  const strongSinks = withHeadDim(strongSinkExamples);
  const only = (...examples: AttentionDescription[]) => ({ examples, runs: 0 });
  return [
    (gpu) => attentionObeysItsIdentities(gpu, only(several, scaled, backwardOnly, short)),
    (gpu) => softmaxIsShiftInvariant(gpu, only(scaled, backwardOnly, short)),
    (gpu) => attentionIsAdjoint(gpu, only(steep, steepScaled)),
    (gpu) => attentionKeepsHeadsApart(gpu, only(several)),
    (gpu) => vScaleLeavesTheWeightsAlone(gpu, only(scaled, short)),
    (gpu) => attentionForwardPassesNonFinite(gpu, only(scaled, short, single)),
    (gpu) => attentionBackwardPassesNonFinite(gpu, only(backwardOnly, short, single)),
    (gpu) => attentionKeepsItsPromise(gpu, only(several, scaled)),
    (gpu) => attentionWithSinksMatchesTwin(gpu, sinks),
    (gpu) => sinksObeyTheirIdentities(gpu, sinks),
    (gpu) => sinksHaveLimits(gpu, sinks),
    (gpu) => sinksStayInTheirHeads(gpu, sinks),
    (gpu) => preciseBackwardMatchesTwin(gpu, precise),
    (gpu) => preciseBackwardKeepsFourDigits(gpu, strongSinks),
  ];
}
