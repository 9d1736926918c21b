import { planMatmul } from "../../src/ops/matmul.ts";
import type { Implementation } from "../../src/measure/workloads.ts";
import {
  planNaiveAttentionBackward,
  planNaiveAttentionForward,
  planNaiveAttentionSinkStatistics,
} from "./attention.ts";
import {
  planNaiveRmsNormBackward,
  planNaiveRmsNormForward,
  planNaiveVScaleBackward,
  planNaiveVScaleForward,
} from "./rows.ts";

/**
 * The operators as one writes them first: a kernel for each step of the formula, everything between the steps in
 * memory, the T × T attention matrix too. What the fused operators are compared with.
 */
export const naive: Implementation = {
  name: "naive",
  attentionForward: planNaiveAttentionForward,
  attentionBackward: planNaiveAttentionBackward,
  attentionSinkStatistics: planNaiveAttentionSinkStatistics,
  rmsNormForward: planNaiveRmsNormForward,
  rmsNormBackward: planNaiveRmsNormBackward,
  vScaleForward: planNaiveVScaleForward,
  vScaleBackward: planNaiveVScaleBackward,
  // There is no step to leave unfused: the product in its portable form.
  matmul: (gpu, options) => planMatmul(gpu, { ...options, variant: "portable" }),
};
