import { onEachRuntime } from "../../support/gpu.ts";
import { bitProperties } from "../../support/properties/attention/bits.ts";

for (const [name, property] of Object.entries(bitProperties)) onEachRuntime(name, property);
