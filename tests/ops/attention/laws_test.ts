import { onEachRuntime } from "../../support/gpu.ts";
import {
  attentionIsAdjoint,
  attentionObeysItsIdentities,
  attentionObeysTheStochasticBound,
  softmaxIsShiftInvariant,
} from "../../support/properties/attention/laws.ts";

onEachRuntime(
  "attentionBackward() obeys the identities 3.1 to 3.4 and 5.3 and the bounds 3.5 to 3.7 and 5.2",
  attentionObeysItsIdentities,
);
onEachRuntime("attentionBackward() obeys the bound 3.8", attentionObeysTheStochasticBound);
onEachRuntime("attention is invariant under a shift of the logits", softmaxIsShiftInvariant);
onEachRuntime("attentionBackward() is the adjoint of attentionForward()", attentionIsAdjoint);
