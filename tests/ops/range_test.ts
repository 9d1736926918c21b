/** Numbers at the ends of float32's range: every operator that adds squares is right there, or says NaN. */
import { onEachRuntime } from "../support/gpu.ts";
import {
  adamWHoldsInRange,
  adamWStops,
  fakeQuantizeHoldsInRange,
  gradientNormHoldsInRange,
} from "../support/properties/model/range.ts";

onEachRuntime(
  "planGradientNorm() is right wherever float32 holds the norm",
  gradientNormHoldsInRange,
);
onEachRuntime("a norm that is not finite stops a step of planAdamW()", adamWStops);
onEachRuntime("planAdamW() is right, or NaN where squares overflow", adamWHoldsInRange);
onEachRuntime("fakeQuantize() is right for every magnitude", fakeQuantizeHoldsInRange);
