import { onEachRuntime, portableGpu } from "../support/gpu.ts";
import {
  dispatchesSpread,
  otherSpecializationMatchesTwin,
} from "../support/properties/specializations.ts";

onEachRuntime(
  "attention agrees with the twin in the specializations that this adapter does not choose",
  otherSpecializationMatchesTwin,
  // One runtime suffices, because these kernels take a minute to compile, and differ only in
  // constants from kernels that other tests run on both runtimes.
  { runtimes: ["deno"] },
);
onEachRuntime(
  "operators spread workgroups over two dimensions where one is too short",
  dispatchesSpread,
);
onEachRuntime(
  "portable kernels spread workgroups over two dimensions where one is too short",
  (gpu) => dispatchesSpread(portableGpu(gpu)),
);
