/**
 * The first step of attention's backward pass: the numbers that its kernels need for every query
 * row.
 */
import rowSource from "../../../kernels/attention/backward_row.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { Dispatch } from "../../gpu/plan.ts";
import type { AttentionBackwardCall } from "./call.ts";
import { spreadWorkgroups } from "../shared/validation.ts";

/**
 * Writes (logSumExp, D_t) of every query row t, where D_t = ⟨outputGradient_t, output_t⟩.
 *
 * @param gpu the GPU that holds the tensors
 * @param call the attention call
 * @param rowStatistics the buffer to write, 8 bytes per row
 */
export function rowDispatch(
  gpu: Gpu,
  { shape, output, outputGradient, logSumExp }: AttentionBackwardCall,
  rowStatistics: GPUBuffer,
): Dispatch {
  const rows = shape.batches * shape.queryHeads * shape.sequenceLength;
  return {
    kernel: { parts: [{ file: "attention/backward_row.wgsl", source: rowSource }] },
    parameters: [{ u32: rows }, { u32: shape.headDim / 4 }],
    buffers: [output, outputGradient, logSumExp, rowStatistics],
    workgroups: spreadWorkgroups(gpu, Math.ceil(rows / 64)),
  };
}
