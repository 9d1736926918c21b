import { onEachRuntime } from "../../support/gpu.ts";
import {
  attentionWithSinksMatchesTwin,
  sinksHaveLimits,
  sinksObeyTheirIdentities,
  sinksStayInTheirHeads,
} from "../../support/properties/attention/sinks.ts";

onEachRuntime("attention with learned sinks agrees with the twin", attentionWithSinksMatchesTwin);
onEachRuntime("attention with learned sinks obeys S1, S3 and S4", sinksObeyTheirIdentities);
onEachRuntime("learned sinks have the limits S5", sinksHaveLimits);
onEachRuntime("NaN in a learned sink stays in its head", sinksStayInTheirHeads);
