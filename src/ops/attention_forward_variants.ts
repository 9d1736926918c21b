import type { Tensor } from "../gpu/tensor.ts";
import {
  type AttentionShape,
  type AttentionVScale,
  TILE,
  tileParameters,
} from "./attention_shape.ts";
import { planValve } from "./attention_valve.ts";
import { attentionForwardKernel } from "./kernels.ts";
import type { Variant } from "./variants.ts";

/** A checked call of attention forward, with its output tensors. */
export interface AttentionForwardCall {
  readonly shape: AttentionShape;
  readonly scale: number;
  readonly vScale: AttentionVScale | undefined;
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly output: Tensor;
  readonly logSumExp: Tensor;
}

const portable: Variant<AttentionShape, AttentionForwardCall> = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan(gpu, { shape, scale, vScale, query, key, value, output, logSumExp }) {
    const full = vScale?.mode === "full" ? vScale : undefined;
    const { valve, dispatches, scratch } = planValve(gpu, shape, { value, vScale: full });
    return {
      scratch,
      dispatches: [...dispatches, {
        kernel: attentionForwardKernel(shape.headDim, gpu.info.software),
        parameters: tileParameters(shape, { scale, mode: vScale?.mode }),
        buffers: [
          query.buffer,
          key.buffer,
          value.buffer,
          valve,
          output.buffer,
          logSumExp.buffer,
        ],
        workgroups: [Math.ceil(shape.sequenceLength / TILE), shape.queryHeads, shape.batches],
      }],
    };
  },
};

/** The kernels of attention forward, in order of preference. */
export const attentionForwardVariants: readonly Variant<AttentionShape, AttentionForwardCall>[] = [
  portable,
];
