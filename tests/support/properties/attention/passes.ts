/** Attention's passes on the GPU. */
import {
  attentionBackward,
  type AttentionBackwardOptions,
  type AttentionBackwardResult,
  attentionForward,
  type AttentionForwardResult,
  type Gpu,
} from "../../../../mod.ts";
import type { AttentionCase } from "../../attention/cases.ts";
import { onGpu, type Results } from "../../on_gpu.ts";

export type BothPasses = Results<AttentionForwardResult> & Results<AttentionBackwardResult>;

export async function forwardAndBackward(
  gpu: Gpu,
  drawn: AttentionCase,
  options: Pick<AttentionBackwardOptions, "precise"> = {},
): Promise<BothPasses> {
  const forward = await onGpu(gpu, attentionForward, drawn);
  const backward = await onGpu(gpu, attentionBackward, { ...drawn, ...forward, ...options });
  return { ...forward, ...backward };
}
