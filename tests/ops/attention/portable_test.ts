/**
 * Attention's portable kernels, which run where nothing faster fits, have every property on their
 * own.
 */
import type { Property } from "../../support/check_cases.ts";
import { onEachRuntime, portableGpu } from "../../support/gpu.ts";
import {
  attentionBackwardIsCausal,
  attentionForwardIsCausal,
  attentionKeepsHeadsApart,
  attentionRepeatsItself,
  vScaleLeavesTheWeightsAlone,
} from "../../support/properties/attention/bits.ts";
import {
  attentionIsAdjoint,
  attentionObeysItsIdentities,
  softmaxIsShiftInvariant,
} from "../../support/properties/attention/laws.ts";
import {
  attentionBackwardPassesNonFinite,
  attentionForwardPassesNonFinite,
} from "../../support/properties/attention/non_finite.ts";
import {
  attentionBackwardMatchesTwin,
  attentionForwardMatchesTwin,
  attentionKeepsItsPromise,
} from "../../support/properties/attention/twin.ts";

const properties: Readonly<Record<string, Property>> = {
  "attentionForward() agrees with the float64 twin": attentionForwardMatchesTwin,
  "attentionBackward() agrees with the float64 twin": attentionBackwardMatchesTwin,
  "attention keeps its promised accuracy end to end": attentionKeepsItsPromise,
  "attentionForward() is causal bit for bit": attentionForwardIsCausal,
  "attentionBackward() is causal bit for bit": attentionBackwardIsCausal,
  "attention keeps heads and batches apart bit for bit": attentionKeepsHeadsApart,
  "attention is deterministic and overwrites poisoned outputs in full": attentionRepeatsItself,
  "V-scale leaves attention's weights alone, bit for bit": vScaleLeavesTheWeightsAlone,
  "attentionForward() passes NaN and infinities on": attentionForwardPassesNonFinite,
  "attentionBackward() passes NaN and infinities on": attentionBackwardPassesNonFinite,
  "attention obeys its identities and bounds": attentionObeysItsIdentities,
  "attention is invariant under a shift of the logits": softmaxIsShiftInvariant,
  "attentionBackward() is the adjoint of attentionForward()": attentionIsAdjoint,
};

for (const [name, property] of Object.entries(properties)) {
  onEachRuntime(`portable kernels: ${name}`, (gpu) => property(portableGpu(gpu)));
}
