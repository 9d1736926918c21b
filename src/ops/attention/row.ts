/**
 * Plans the first step of attention's backward pass. It computes the numbers that the later kernels
 * need for every query row, and the sinks' gradient, which is a sum over rows.
 */
import rowSource from "../../../kernels/attention/backward_row.wgsl" with { type: "text" };
import productSource from "../../../kernels/attention/row_product.wgsl" with { type: "text" };
import newRowSource from "../../../kernels/attention/sink/new_row.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { KernelPart } from "../../gpu/pipelines.ts";
import type { Dispatch } from "../../gpu/plan.ts";
import type { AttentionBackwardCall } from "./call.ts";
import { sinkBackward, subtractLogSumExpGradient, sumSinkTerms } from "./sink.ts";
import { notANumber, workgroupSum } from "../shared/parts.ts";
import { spreadWorkgroups } from "../shared/validation.ts";

const rowProduct: KernelPart = { file: "attention/row_product.wgsl", source: productSource };

/**
 * The most rows of a query head, over the batch, for which one workgroup per head computes both the
 * statistics and the sink's gradient; each of its 64 invocations then has at most four rows. With
 * more rows, so few workgroups would not fill a GPU, and the time of a separate dispatch for the
 * sum no longer matters.
 */
const MOST_ROWS_TOGETHER = 256;

/**
 * Plans the kernels that write (logSumExp, D_t − ℓ_t) of every query row t, where D_t =
 * ⟨outputGradient_t, output_t⟩, and ℓ_t = ∂L/∂logSumExp_t, or 0 if the loss does not depend on it.
 * If the call has a sink, they also write sinkLogitGradient.
 *
 * @param rowStatistics the buffer to write, 8 bytes per row
 */
export function planRows(
  gpu: Gpu,
  call: AttentionBackwardCall,
  rowStatistics: GPUBuffer,
): Dispatch[] {
  const { shape, output, outputGradient, logSumExp, logSumExpGradient } = call;
  const { sinkLogit, sinkLogitGradient } = call;
  const { batches, queryHeads, sequenceLength } = shape;
  const vectors = shape.headDim / 4;
  const buffers = [output, outputGradient, logSumExp, rowStatistics];
  if (
    sinkLogit !== undefined && sinkLogitGradient !== undefined &&
    batches * sequenceLength <= MOST_ROWS_TOGETHER
  ) {
    const hasGradient = logSumExpGradient === undefined ? 0 : 1;
    return [{
      kernel: {
        parts: [
          notANumber,
          workgroupSum,
          rowProduct,
          { file: "attention/sink/new_row.wgsl", source: newRowSource },
          sinkBackward,
        ],
      },
      parameters: [batches, queryHeads, sequenceLength, vectors, hasGradient].map((u32) => ({
        u32,
      })),
      // Without logSumExpGradient, the kernel does not read its binding, and logSumExp fills it.
      buffers: [...buffers, logSumExpGradient ?? logSumExp, sinkLogit, sinkLogitGradient],
      workgroups: [queryHeads],
    }];
  }
  const rows = batches * queryHeads * sequenceLength;
  return [
    {
      kernel: {
        parts: [rowProduct, { file: "attention/backward_row.wgsl", source: rowSource }],
      },
      parameters: [{ u32: rows }, { u32: vectors }],
      buffers,
      workgroups: spreadWorkgroups(gpu, Math.ceil(rows / 64)),
    },
    ...subtractLogSumExpGradient(gpu, call, rowStatistics),
    ...sumSinkTerms(call, rowStatistics),
  ];
}
