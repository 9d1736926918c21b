import { onEachRuntime, portableGpu } from "../support/gpu.ts";
import {
  dispatchesSpread,
  otherSpecializationMatchesTwin,
} from "../support/properties/specializations.ts";

onEachRuntime(
  "attention agrees with the twin in the specializations that this adapter does not choose",
  otherSpecializationMatchesTwin,
  // One runtime suffices: the kernels take a minute to compile, and only constants tell them from
  // the kernels that other tests run on both.
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
