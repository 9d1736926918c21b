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
 * The operators in their most obvious form: one kernel per step of the formula, with all
 * intermediate results in memory, including attention's T × T matrix. The bench compares the fused
 * operators with them.
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
    // A matrix product is a single step, so its baseline is the operator's portable variant.
    replacing(planMatmul, (gpu, options) => planMatmul(gpu, { ...options, variant: "portable" })),
  ]),
};
