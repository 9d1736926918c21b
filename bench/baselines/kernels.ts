/** The WGSL kernels of the naive baselines. */
import type { Kernel } from "../../src/gpu/pipelines.ts";
import workgroupSumSource from "../../kernels/workgroup_sum.wgsl" with { type: "text" };
import attentionColumnStatisticsSource from "./attention_column_statistics.wgsl" with {
  type: "text",
};
import attentionLogitGradientSource from "./attention_logit_gradient.wgsl" with { type: "text" };
import attentionProductSource from "./attention_product.wgsl" with { type: "text" };
import attentionScoresSource from "./attention_scores.wgsl" with { type: "text" };
import attentionSoftmaxSource from "./attention_softmax.wgsl" with { type: "text" };
import attentionTransposedProductSource from "./attention_transposed_product.wgsl" with {
  type: "text",
};
import attentionWeightsSource from "./attention_weights.wgsl" with { type: "text" };
import multiplySource from "./multiply.wgsl" with { type: "text" };
import multiplyColumnsSource from "./multiply_columns.wgsl" with { type: "text" };
import multiplyRowsSource from "./multiply_rows.wgsl" with { type: "text" };
import rmsNormInputGradientSource from "./rms_norm_input_gradient.wgsl" with { type: "text" };
import rmsNormInverseSource from "./rms_norm_inverse.wgsl" with { type: "text" };
import rowDotSource from "./row_dot.wgsl" with { type: "text" };
import rowMeanProductSource from "./row_mean_product.wgsl" with { type: "text" };
import vScaleApplySource from "./v_scale_apply.wgsl" with { type: "text" };
import vScaleConstantSumSource from "./v_scale_constant_sum.wgsl" with { type: "text" };
import vScaleValueGradientSource from "./v_scale_value_gradient.wgsl" with { type: "text" };

function kernel(file: string, source: string): Kernel {
  return { parts: [{ file, source }] };
}

// With workgroup_sum.wgsl in front.
function reducing(file: string, source: string): Kernel {
  const workgroupSum = { file: "workgroup_sum.wgsl", source: workgroupSumSource };
  return { parts: [workgroupSum, { file, source }] };
}

/** The naive kernels, by the name of their file. */
export const kernels = {
  attentionColumnStatistics: reducing(
    "attention_column_statistics.wgsl",
    attentionColumnStatisticsSource,
  ),
  attentionLogitGradient: kernel("attention_logit_gradient.wgsl", attentionLogitGradientSource),
  attentionProduct: kernel("attention_product.wgsl", attentionProductSource),
  attentionScores: kernel("attention_scores.wgsl", attentionScoresSource),
  attentionSoftmax: kernel("attention_softmax.wgsl", attentionSoftmaxSource),
  attentionTransposedProduct: kernel(
    "attention_transposed_product.wgsl",
    attentionTransposedProductSource,
  ),
  attentionWeights: kernel("attention_weights.wgsl", attentionWeightsSource),
  multiply: kernel("multiply.wgsl", multiplySource),
  multiplyColumns: kernel("multiply_columns.wgsl", multiplyColumnsSource),
  multiplyRows: kernel("multiply_rows.wgsl", multiplyRowsSource),
  rmsNormInputGradient: kernel("rms_norm_input_gradient.wgsl", rmsNormInputGradientSource),
  rmsNormInverse: reducing("rms_norm_inverse.wgsl", rmsNormInverseSource),
  rowDot: kernel("row_dot.wgsl", rowDotSource),
  rowMeanProduct: reducing("row_mean_product.wgsl", rowMeanProductSource),
  vScaleApply: kernel("v_scale_apply.wgsl", vScaleApplySource),
  vScaleConstantSum: reducing("v_scale_constant_sum.wgsl", vScaleConstantSumSource),
  vScaleValueGradient: kernel("v_scale_value_gradient.wgsl", vScaleValueGradientSource),
} as const satisfies Record<string, Kernel>;
