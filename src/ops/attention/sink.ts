/**
 * Two small kernels that attention's backward pass adds for a learned sink and for a gradient of
 * logSumExp.
 */
import logSumExpSource from "../../../kernels/attention/backward_log_sum_exp.wgsl" with {
  type: "text",
};
import sinkSource from "../../../kernels/attention/sink/backward.wgsl" with { type: "text" };
import storedRowSource from "../../../kernels/attention/sink/stored_row.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { KernelPart } from "../../gpu/pipelines.ts";
import type { Dispatch } from "../../gpu/plan.ts";
import type { AttentionBackwardCall } from "./call.ts";
import { notANumber, workgroupSum } from "../shared/parts.ts";
import { spreadWorkgroups } from "../shared/validation.ts";

/**
 * The part of a kernel that sums sinkLogitGradient. The part in front of it, new_row.wgsl or
 * stored_row.wgsl, provides the rows' numbers.
 */
export const sinkBackward: KernelPart = {
  file: "attention/sink/backward.wgsl",
  source: sinkSource,
};

/**
 * Whether the first query has a gradient: only if a sink takes a part of the weight, or the loss
 * depends on logSumExp. Otherwise the one key that it sees has weight 1, whatever the query is.
 */
export function firstQueryHasGradient(
  { sinkLogit, logSumExpGradient }: Pick<AttentionBackwardCall, "sinkLogit" | "logSumExpGradient">,
): boolean {
  return sinkLogit !== undefined || logSumExpGradient !== undefined;
}

/**
 * Plans the subtraction of ∂L/∂logSumExp_t from D_t = ⟨outputGradient_t, output_t⟩ in the
 * statistics of every query row t.
 *
 * @param rowStatistics `[B, Hq, T]` of (logSumExp, D_t)
 * @returns no dispatch if the loss does not depend on logSumExp
 */
export function subtractLogSumExpGradient(
  gpu: Gpu,
  { shape, logSumExpGradient }: AttentionBackwardCall,
  rowStatistics: GPUBuffer,
): Dispatch[] {
  if (logSumExpGradient === undefined) return [];
  const rows = shape.batches * shape.queryHeads * shape.sequenceLength;
  return [{
    kernel: {
      parts: [{ file: "attention/backward_log_sum_exp.wgsl", source: logSumExpSource }],
    },
    parameters: [{ u32: rows }],
    buffers: [logSumExpGradient, rowStatistics],
    workgroups: spreadWorkgroups(gpu, Math.ceil(rows / 64)),
  }];
}

/**
 * Plans the kernel that computes sinkLogitGradient, a sum over query rows.
 *
 * @param rowStatistics `[B, Hq, T]` of (logSumExp, D_t − ℓ_t) of every query row t, where D_t =
 *   ⟨outputGradient_t, output_t⟩, and ℓ_t = ∂L/∂logSumExp_t, or 0 if the loss does not depend on it
 * @returns no dispatch if the call has no sink logits
 */
export function sumSinkTerms(
  { shape, sinkLogit, sinkLogitGradient }: AttentionBackwardCall,
  rowStatistics: GPUBuffer,
): Dispatch[] {
  if (sinkLogit === undefined || sinkLogitGradient === undefined) return [];
  const { batches, queryHeads, sequenceLength } = shape;
  return [{
    kernel: {
      parts: [
        notANumber,
        workgroupSum,
        { file: "attention/sink/stored_row.wgsl", source: storedRowSource },
        sinkBackward,
      ],
    },
    parameters: [batches, queryHeads, sequenceLength].map((u32) => ({ u32 })),
    buffers: [sinkLogit, rowStatistics, sinkLogitGradient],
    workgroups: [queryHeads],
  }];
}
