import { onEachRuntime } from "../../support/gpu.ts";
import {
  attentionIsAdjoint,
  attentionObeysItsIdentities,
  attentionObeysTheStochasticBound,
  softmaxIsShiftInvariant,
} from "../../support/properties/attention/laws.ts";

onEachRuntime(
  "attentionBackward() obeys the identities A1 to A4 and V3 and the bounds A5 to A7 and V2",
  attentionObeysItsIdentities,
);
onEachRuntime("attentionBackward() obeys the bound A8", attentionObeysTheStochasticBound);
onEachRuntime("attention is invariant under a shift of the logits", softmaxIsShiftInvariant);
onEachRuntime("attentionBackward() is the adjoint of attentionForward()", attentionIsAdjoint);
