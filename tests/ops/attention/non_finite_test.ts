import { onEachRuntime } from "../../support/gpu.ts";
import {
  attentionBackwardPassesNonFinite,
  attentionForwardPassesNonFinite,
} from "../../support/properties/attention/non_finite.ts";

onEachRuntime(
  "attentionForward() passes NaN and infinities to the rows they belong to alone",
  attentionForwardPassesNonFinite,
);
onEachRuntime(
  "attentionBackward() passes NaN and infinities to the rows they belong to alone",
  attentionBackwardPassesNonFinite,
);
