import { onEachRuntime } from "../support/gpu.ts";
import {
  adamWMatchesTwin,
  additionsMatchFloat32,
  crossEntropyMatchesTwin,
  embeddingMatchesTwin,
  fakeQuantizeMatchesTwin,
  headsMatchTwin,
  learnedConstantMatchesTwin,
  modelOperatorsStayInBounds,
  projectionsMatchTwin,
  sumsMatchTwin,
  swigluMatchesTwin,
} from "../support/properties/model_operators.ts";

onEachRuntime(
  "embeddingForward() and embeddingBackward() agree with the twin",
  embeddingMatchesTwin,
);
onEachRuntime("splitHeads() and mergeHeads() agree with the twin", headsMatchTwin);
onEachRuntime(
  "splitProjections() and mergeProjections() agree with the twin",
  projectionsMatchTwin,
);
onEachRuntime("swigluForward() and swigluBackward() agree with the twin", swigluMatchesTwin);
onEachRuntime(
  "crossEntropyForward() and crossEntropyBackward() agree with the twin",
  crossEntropyMatchesTwin,
);
onEachRuntime("add(), accumulate() and planCopy() have float32's bits", additionsMatchFloat32);
onEachRuntime("sum() and planGradientNorm() agree with the twin", sumsMatchTwin);
onEachRuntime("planAdamW() agrees with the twin", adamWMatchesTwin);
onEachRuntime(
  "learnedConstantForward() and learnedConstantBackward() agree with the twin",
  learnedConstantMatchesTwin,
);
onEachRuntime(
  "fakeQuantize() and planAbsoluteMaximum() agree with the twin",
  fakeQuantizeMatchesTwin,
);
onEachRuntime(
  "a model's operators read and write their tensors and nothing beyond",
  modelOperatorsStayInBounds,
  { runtimes: ["deno"] },
);
