import { onEachRuntime, portableGpu } from "../support/gpu.ts";
import {
  dispatchesSpread,
  otherSpecializationMatchesTwin,
} from "../support/properties/specializations.ts";

onEachRuntime(
  "attention agrees with the twin in the specialization that this adapter does not use",
  otherSpecializationMatchesTwin,
  { runtimes: ["deno"] }, // the kernels differ in constants only, and take a minute to compile
);
onEachRuntime(
  "operators spread over two dimensions what one does not hold",
  dispatchesSpread,
);
onEachRuntime(
  "portable kernels spread over two dimensions what one does not hold",
  (gpu) => dispatchesSpread(portableGpu(gpu)),
);
