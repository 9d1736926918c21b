import { onEachRuntime } from "../support/gpu.ts";
import { twinProperties } from "../support/properties/attention/twin.ts";

for (const [name, property] of Object.entries(twinProperties)) onEachRuntime(name, property);
