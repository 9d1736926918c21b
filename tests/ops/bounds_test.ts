import { onEachRuntime, portableGpu } from "../support/gpu.ts";
import { operatorsStayInBounds } from "../support/properties/bounds.ts";
import { narrowGpu } from "../support/properties/specializations.ts";

onEachRuntime("operators neither read nor write beyond their tensors", operatorsStayInBounds);
onEachRuntime(
  "portable kernels neither read nor write beyond their tensors",
  (gpu) => operatorsStayInBounds(portableGpu(gpu)),
);
onEachRuntime(
  "portable kernels neither read nor write beyond their tensors where dispatches are spread",
  (gpu) => operatorsStayInBounds(narrowGpu(portableGpu(gpu))),
);
onEachRuntime(
  "operators neither read nor write beyond their tensors where dispatches are spread",
  (gpu) => operatorsStayInBounds(narrowGpu(gpu)),
);
