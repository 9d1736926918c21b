import { onEachRuntime } from "../support/gpu.ts";
import {
  dispatchesSpread,
  otherSpecialisationMatchesTwin,
} from "../support/properties/specialisations.ts";

onEachRuntime(
  "attention agrees with the twin in the specialisation that this adapter does not use",
  otherSpecialisationMatchesTwin,
);
onEachRuntime(
  "operators spread over two dimensions what one does not hold",
  dispatchesSpread,
);
