import { onEachRuntime } from "../support/gpu.ts";
import {
  vScaleBackwardMatchesTwin,
  vScaleForwardMatchesTwin,
} from "../support/properties/rows/twin.ts";

onEachRuntime("vScaleForward() agrees with the float64 twin", vScaleForwardMatchesTwin);
onEachRuntime("vScaleBackward() agrees with the float64 twin", vScaleBackwardMatchesTwin);
