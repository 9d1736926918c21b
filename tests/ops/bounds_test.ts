import { onEachRuntime, portableGpu } from "../support/gpu.ts";
import { operatorsStayInBounds } from "../support/properties/bounds.ts";

onEachRuntime("operators neither read nor write beyond their tensors", operatorsStayInBounds);
onEachRuntime(
  "portable kernels neither read nor write beyond their tensors",
  (gpu) => operatorsStayInBounds(portableGpu(gpu)),
);
