/** The WGSL kernels of the naive baselines. */
import type { Kernel } from "../../src/gpu/pipelines.ts";
import { workgroupSum } from "../../src/ops/shared/parts.ts";
import attentionColumnStatisticsSource from "./attention/column_statistics.wgsl" with {
  type: "text",
};
import attentionLogitGradientSource from "./attention/logit_gradient.wgsl" with { type: "text" };
import attentionProductSource from "./attention/product.wgsl" with { type: "text" };
import attentionScoresSource from "./attention/scores.wgsl" with { type: "text" };
import attentionSinkGradientSource from "./attention/sink_gradient.wgsl" with { type: "text" };
import attentionSinkSource from "./attention/sink.wgsl" with { type: "text" };
import attentionSoftmaxSource from "./attention/softmax.wgsl" with { type: "text" };
import attentionTransposedProductSource from "./attention/transposed_product.wgsl" with {
  type: "text",
};
import attentionWeightsSource from "./attention/weights.wgsl" with { type: "text" };
import multiplySource from "./rows/multiply.wgsl" with { type: "text" };
import multiplyVectorSource from "./rows/multiply_vector.wgsl" with { type: "text" };
import rmsNormInputGradientSource from "./rows/rms_norm_input_gradient.wgsl" with { type: "text" };
import rmsNormInverseSource from "./rows/rms_norm_inverse.wgsl" with { type: "text" };
import rowDotSource from "./rows/dot.wgsl" with { type: "text" };
import rowMeanProductSource from "./rows/mean_product.wgsl" with { type: "text" };
import vScaleApplySource from "./rows/v_scale_apply.wgsl" with { type: "text" };
import vScaleConstantSumSource from "./rows/v_scale_constant_sum.wgsl" with { type: "text" };
import vScaleValueGradientSource from "./rows/v_scale_value_gradient.wgsl" with { type: "text" };

function kernel(file: string, source: string): Kernel {
  return { parts: [{ file, source }] };
}

// Makes a kernel: workgroup_sum.wgsl, followed by `source`.
function reducing(file: string, source: string): Kernel {
  return { parts: [workgroupSum, { file, source }] };
}

const multiplyVector = kernel("rows/multiply_vector.wgsl", multiplyVectorSource);

/** The naive kernels by file name. */
export const kernels = {
  attentionColumnStatistics: reducing(
    "attention/column_statistics.wgsl",
    attentionColumnStatisticsSource,
  ),
  attentionLogitGradient: kernel("attention/logit_gradient.wgsl", attentionLogitGradientSource),
  attentionProduct: kernel("attention/product.wgsl", attentionProductSource),
  attentionScores: kernel("attention/scores.wgsl", attentionScoresSource),
  attentionSink: kernel("attention/sink.wgsl", attentionSinkSource),
  attentionSinkGradient: reducing("attention/sink_gradient.wgsl", attentionSinkGradientSource),
  attentionSoftmax: kernel("attention/softmax.wgsl", attentionSoftmaxSource),
  attentionTransposedProduct: kernel(
    "attention/transposed_product.wgsl",
    attentionTransposedProductSource,
  ),
  attentionWeights: kernel("attention/weights.wgsl", attentionWeightsSource),
  multiply: kernel("rows/multiply.wgsl", multiplySource),
  multiplyColumns: multiplyVector,
  multiplyRows: { ...multiplyVector, constants: { BY_ROW: true } },
  rmsNormInputGradient: kernel("rows/rms_norm_input_gradient.wgsl", rmsNormInputGradientSource),
  rmsNormInverse: reducing("rows/rms_norm_inverse.wgsl", rmsNormInverseSource),
  rowDot: kernel("rows/dot.wgsl", rowDotSource),
  rowMeanProduct: reducing("rows/mean_product.wgsl", rowMeanProductSource),
  vScaleApply: kernel("rows/v_scale_apply.wgsl", vScaleApplySource),
  vScaleConstantSum: reducing("rows/v_scale_constant_sum.wgsl", vScaleConstantSumSource),
  vScaleValueGradient: kernel("rows/v_scale_value_gradient.wgsl", vScaleValueGradientSource),
} as const satisfies Record<string, Kernel>;
