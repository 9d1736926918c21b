import { onEachRuntime } from "../support/gpu.ts";
import {
  rmsNormBackwardMatchesTwin,
  rmsNormForwardMatchesTwin,
} from "../support/properties/rows/twin.ts";

onEachRuntime("rmsNormForward() agrees with the float64 twin", rmsNormForwardMatchesTwin);
onEachRuntime("rmsNormBackward() agrees with the float64 twin", rmsNormBackwardMatchesTwin);
