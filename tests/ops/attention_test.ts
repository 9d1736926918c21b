import { onEachRuntime } from "../support/gpu.ts";
import {
  attentionBackwardMatchesTwin,
  attentionForwardMatchesTwin,
  attentionKeepsItsPromise,
} from "../support/properties/attention/twin.ts";

onEachRuntime("attentionForward() agrees with the float64 twin", attentionForwardMatchesTwin);
onEachRuntime("attentionBackward() agrees with the float64 twin", attentionBackwardMatchesTwin);
onEachRuntime("attention keeps its promised accuracy end to end", attentionKeepsItsPromise);
