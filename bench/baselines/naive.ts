import { type Implementation, replacing } from "../../src/measure/workloads/prepare.ts";
import { planAttentionBackward, planAttentionForward } from "../../src/ops/attention.ts";
import { planAttentionSinkStatistics } from "../../src/ops/attention_sink_statistics.ts";
import { planMatmul } from "../../src/ops/matmul.ts";
import { planRmsNormBackward, planRmsNormForward } from "../../src/ops/rms_norm.ts";
import { planVScaleBackward, planVScaleForward } from "../../src/ops/v_scale.ts";
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
 * The operators as one writes them first: a kernel for each step of the formula, everything between
 * the steps in memory, the T × T attention matrix too. What the fused operators are compared with.
 */
export const naive: Implementation = {
  name: "naive",
  planners: new Map([
    replacing(planAttentionForward, planNaiveAttentionForward),
    replacing(planAttentionBackward, planNaiveAttentionBackward),
    replacing(planAttentionSinkStatistics, planNaiveAttentionSinkStatistics),
    replacing(planRmsNormForward, planNaiveRmsNormForward),
    replacing(planRmsNormBackward, planNaiveRmsNormBackward),
    replacing(planVScaleForward, planNaiveVScaleForward),
    replacing(planVScaleBackward, planNaiveVScaleBackward),
    // There is no step to leave unfused: the product in its portable form.
    replacing(planMatmul, (gpu, options) => planMatmul(gpu, { ...options, variant: "portable" })),
  ]),
};
