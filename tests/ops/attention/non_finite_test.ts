import { onEachRuntime } from "../../support/gpu.ts";
import { nonFiniteProperties } from "../../support/properties/attention/non_finite.ts";

for (const [name, property] of Object.entries(nonFiniteProperties)) onEachRuntime(name, property);
