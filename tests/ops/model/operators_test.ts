import { onEachRuntime } from "../../support/gpu.ts";
import { adamWMatchesTwin } from "../../support/properties/model/adamw.ts";
import { attentionGateMatchesTwin } from "../../support/properties/model/attention_gate.ts";
import { modelOperatorsStayInBounds } from "../../support/properties/model/bounds.ts";
import { crossEntropyMatchesTwin } from "../../support/properties/model/cross_entropy.ts";
import { embeddingMatchesTwin } from "../../support/properties/model/embedding.ts";
import { fakeQuantizeMatchesTwin } from "../../support/properties/model/fake_quantize.ts";
import { headNormMatchesTwin } from "../../support/properties/model/head_norm.ts";
import { headsMatchTwin, projectionsMatchTwin } from "../../support/properties/model/heads.ts";
import { learnedConstantMatchesTwin } from "../../support/properties/model/learned_constant.ts";
import { additionsMatchFloat32, sumsMatchTwin } from "../../support/properties/model/sums.ts";
import { swigluMatchesTwin } from "../../support/properties/model/swiglu.ts";

onEachRuntime(
  "embeddingForward() and embeddingBackward() agree with the twin",
  embeddingMatchesTwin,
);
onEachRuntime(
  "planHeadNormForward() and planHeadNormBackward() agree with the twin",
  headNormMatchesTwin,
);
onEachRuntime("splitHeads() and mergeHeads() agree with the twin", headsMatchTwin);
onEachRuntime(
  "splitProjections() and mergeProjections() agree with the twin",
  projectionsMatchTwin,
);
onEachRuntime("swigluForward() and swigluBackward() agree with the twin", swigluMatchesTwin);
onEachRuntime(
  "attentionGateForward() and attentionGateBackward() agree with the twin",
  attentionGateMatchesTwin,
);
onEachRuntime(
  "crossEntropyForward() and crossEntropyBackward() agree with the twin",
  crossEntropyMatchesTwin,
);
onEachRuntime(
  "add(), accumulate(), planAddBias() and planCopy() have float32's bits",
  additionsMatchFloat32,
);
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
