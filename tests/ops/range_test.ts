/** At the ends of float32's range, operators return right numbers or NaN. */
import { onEachRuntime } from "../support/gpu.ts";
import {
  adamWHoldsInRange,
  adamWStops,
  fakeQuantizeHoldsInRange,
  gradientNormHoldsInRange,
} from "../support/properties/model/range.ts";
import { vScaleForwardVariants } from "../../src/ops/v_scale/variants.ts";
import { vScaleHoldsInRange } from "../support/properties/rows/v_scale_range.ts";
import { rmsNormHoldsInRange } from "../support/properties/rows/range.ts";
import { onEachFitRuntime } from "../support/gpu.ts";
import { rmsNormForwardVariants } from "../../src/ops/rms_norm/forward_variants.ts";

for (const { name, unfit } of rmsNormForwardVariants) {
  await onEachFitRuntime(
    `RMSNorm's ${name} is right for every magnitude, or NaN where its inverse is subnormal`,
    (gpu) => rmsNormHoldsInRange(gpu, { variant: name }),
    { unfit: (gpu) => unfit(gpu, { rows: 36, columns: 4 }) },
  );
}

onEachRuntime(
  "planGradientNorm() is right wherever float32 holds the norm",
  gradientNormHoldsInRange,
);
onEachRuntime("a norm that is not finite stops a step of planAdamW()", adamWStops);
onEachRuntime("planAdamW() is right, or NaN where squares overflow", adamWHoldsInRange);
onEachRuntime("fakeQuantize() is right for every magnitude", fakeQuantizeHoldsInRange);

for (const { name, unfit } of vScaleForwardVariants) {
  const shape = { batches: 1, keyValueHeads: 1, sequenceLength: 1, rows: 1, columns: 4 };
  await onEachFitRuntime(
    `V-scale's ${name} is right for values and constants of every size`,
    (gpu) => vScaleHoldsInRange(gpu, { variant: name }),
    { unfit: (gpu) => unfit(gpu, shape) },
  );
}
