import { onEachRuntime } from "../../support/gpu.ts";
import {
  attentionObeysTheStochasticBound,
  lawProperties,
} from "../../support/properties/attention/laws.ts";

for (const [name, property] of Object.entries(lawProperties)) onEachRuntime(name, property);
onEachRuntime("attentionBackward() obeys the bound A8", attentionObeysTheStochasticBound);
