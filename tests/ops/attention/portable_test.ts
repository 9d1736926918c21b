/** Attention's portable kernels, the fallback where no faster one fits, pass every property. */
import { onEachRuntime, portableGpu } from "../../support/gpu.ts";
import { bitProperties } from "../../support/properties/attention/bits.ts";
import { lawProperties } from "../../support/properties/attention/laws.ts";
import { nonFiniteProperties } from "../../support/properties/attention/non_finite.ts";
import { twinProperties } from "../../support/properties/attention/twin.ts";

const properties = {
  ...twinProperties,
  ...bitProperties,
  ...nonFiniteProperties,
  ...lawProperties,
};

for (const [name, property] of Object.entries(properties)) {
  onEachRuntime(`portable kernels: ${name}`, (gpu) => property(portableGpu(gpu)));
}
