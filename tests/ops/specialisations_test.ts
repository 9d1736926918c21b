import { onEachRuntime, portableGpu } from "../support/gpu.ts";
import {
  dispatchesSpread,
  otherSpecialisationMatchesTwin,
} from "../support/properties/specialisations.ts";

onEachRuntime(
  "attention agrees with the twin in the specialisation that this adapter does not use",
  otherSpecialisationMatchesTwin,
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
