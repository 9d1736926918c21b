import { onEachRuntime } from "../../support/gpu.ts";
import {
  attentionBackwardIsCausal,
  attentionForwardIsCausal,
  attentionKeepsHeadsApart,
  attentionRepeatsItself,
  vScaleLeavesTheWeightsAlone,
} from "../../support/properties/attention/bits.ts";

onEachRuntime("attentionForward() is causal bit for bit", attentionForwardIsCausal);
onEachRuntime("attentionBackward() is causal bit for bit", attentionBackwardIsCausal);
onEachRuntime("attention keeps heads and batches apart bit for bit", attentionKeepsHeadsApart);
onEachRuntime(
  "attention is deterministic and overwrites poisoned outputs in full",
  attentionRepeatsItself,
);
onEachRuntime(
  "attentionForward() has the same attention weights with V-scale, bit for bit",
  vScaleLeavesTheWeightsAlone,
);
