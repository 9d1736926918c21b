import { attentionBackwardKeyValueBarrierFree } from "../../kernels/attention_backward_key_value_barrier_free.wgsl.ts";
import { attentionBackwardKeyValueSubgroup } from "../../kernels/attention_backward_key_value_subgroup.wgsl.ts";
import { attentionBackwardQueryBarrierFree } from "../../kernels/attention_backward_query_barrier_free.wgsl.ts";
import { attentionBackwardQuerySubgroup } from "../../kernels/attention_backward_query_subgroup.wgsl.ts";
import { attentionBackwardKeyValueTiled } from "../../kernels/attention_backward_key_value_tiled.wgsl.ts";
import { attentionBackwardQueryTiled } from "../../kernels/attention_backward_query_tiled.wgsl.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Dispatch, Scalar } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import {
  backwardTile,
  BARRIER_FREE_ROWS,
  suitsBarrierFree,
  unfitBarrierFree,
} from "./attention_barrier_free.ts";
import type { AttentionForwardCall } from "./attention_forward_variants.ts";
import { type AttentionShape, TILE, tileParameters } from "./attention_shape.ts";
import {
  hasWideSubgroups,
  suitableRows,
  suitsSubgroup,
  unfitSubgroup,
} from "./attention_subgroup.ts";
import { type AttentionTile, attentionTiles, bestTile, unfitTiled } from "./attention_tiled.ts";
import { planValve } from "./attention_valve.ts";
import {
  attentionBackwardKeyValueKernel,
  attentionBackwardQueryKernel,
  attentionBackwardRowKernel,
  notANumber,
  vScaleConstantGradientKernel,
} from "./kernels.ts";
import { spreadWorkgroups } from "./validation.ts";
import type { Variant } from "./variants.ts";

/** A checked call of attention backward, with its output tensors. */
export interface AttentionBackwardCall extends AttentionForwardCall {
  readonly outputGradient: Tensor;
  readonly queryGradient: Tensor;
  readonly keyGradient: Tensor;
  readonly valueGradient: Tensor;
  /** With V-scale only. */
  readonly constantGradient: Tensor | undefined;
}

/**
 * The dispatch that writes (logSumExp, D) of every query row.
 *
 * @param gpu the GPU that holds the tensors
 * @param call the attention call
 * @param rowStatistics where to write them, 8 bytes a row
 */
export function rowDispatch(
  gpu: Gpu,
  { shape, output, outputGradient, logSumExp }: AttentionBackwardCall,
  rowStatistics: GPUBuffer,
): Dispatch {
  const rows = shape.batches * shape.queryHeads * shape.sequenceLength;
  return {
    kernel: attentionBackwardRowKernel,
    parameters: [{ u32: rows }, { u32: shape.headDim / 4 }],
    buffers: [output.buffer, outputGradient.buffer, logSumExp.buffer, rowStatistics],
    workgroups: spreadWorkgroups(gpu, Math.ceil(rows / 64)),
  };
}

/**
 * The dispatch that sums the terms of V-scale's constantGradient, if the call has one.
 *
 * @param call the attention call
 * @param valve `[B, Hkv, T]` of (term, anything)
 */
export function constantDispatches(
  { shape, constantGradient }: AttentionBackwardCall,
  valve: GPUBuffer,
): Dispatch[] {
  if (constantGradient === undefined) return [];
  const { batches, keyValueHeads, sequenceLength } = shape;
  return [{
    kernel: vScaleConstantGradientKernel,
    parameters: [{ u32: batches }, { u32: keyValueHeads }, { u32: sequenceLength }],
    buffers: [valve, constantGradient.buffer],
    workgroups: [keyValueHeads],
  }];
}

const portable: Variant<AttentionShape, AttentionBackwardCall> = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan(gpu, call) {
    const { shape, scale, vScale, query, key, value, outputGradient } = call;
    const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
    const { valve, dispatches, scratch } = planValve(gpu, shape, { value, vScale });
    const rowStatistics = gpu.storage(8 * batches * queryHeads * sequenceLength);
    const inputs = [query, key, value, outputGradient].map((tensor) => tensor.buffer);
    const parameters = tileParameters(shape, { scale, mode: vScale?.mode });
    const tiles = Math.ceil(sequenceLength / TILE);
    const { software } = gpu.info;
    return {
      scratch: [...scratch, rowStatistics],
      dispatches: [...dispatches, rowDispatch(gpu, call, rowStatistics), {
        kernel: attentionBackwardQueryKernel(headDim, software),
        parameters,
        buffers: [...inputs, rowStatistics, valve, call.queryGradient.buffer],
        workgroups: [tiles, queryHeads, batches],
      }, {
        // After the query kernel, since it replaces the valve's (|v|², C) by the terms of the constant's gradient.
        kernel: attentionBackwardKeyValueKernel(headDim, software),
        parameters,
        buffers: [
          ...inputs,
          rowStatistics,
          valve,
          call.keyGradient.buffer,
          call.valueGradient.buffer,
        ],
        workgroups: [tiles, keyValueHeads, batches],
      }, ...constantDispatches(call, valve)],
    };
  },
};

// One subgroup a workgroup, for adapters that compute on the CPU. 16 rows would be a tenth faster at D = 64 on lavapipe, but
// take more than twice as long to compile.
function subgroup(rows: number): Variant<AttentionShape, AttentionBackwardCall> {
  return {
    name: `subgroup-${rows}`,
    unfit: (gpu, shape) => unfitSubgroup(gpu, shape, rows),
    suits: (gpu, shape) =>
      rows === 8 &&
      suitsSubgroup(gpu, shape, suitableRows(shape)),
    plan(gpu, call) {
      const { shape, scale, vScale, query, key, value, outputGradient } = call;
      const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
      const { valve, dispatches, scratch } = planValve(gpu, shape, { value, vScale });
      const rowStatistics = gpu.storage(8 * batches * queryHeads * sequenceLength);
      const inputs = [query, key, value, outputGradient].map((tensor) => tensor.buffer);
      const subgroupSize = gpu.info.subgroupSize?.minimum ?? 0;
      const parameters: Scalar[] = [
        { u32: queryHeads },
        { u32: keyValueHeads },
        { u32: sequenceLength },
        { f32: scale },
        { u32: vScale === undefined ? 0 : vScale.mode === "full" ? 1 : 2 },
      ];
      const tiles = Math.ceil(sequenceLength / rows);
      // The one for values comes last: it replaces the valve's (|v|², C) by the terms of the constant's gradient.
      const keyValue = (gradient: "key" | "value"): Dispatch => ({
        kernel: {
          parts: [notANumber, {
            file: "attention_backward_key_value_subgroup.wgsl.ts",
            source: attentionBackwardKeyValueSubgroup({ subgroupSize, rows, headDim, gradient }),
          }],
          features: ["subgroups"],
        },
        parameters,
        buffers: [...inputs, rowStatistics, valve, call[`${gradient}Gradient`].buffer],
        workgroups: [tiles, keyValueHeads, batches],
      });
      return {
        scratch: [...scratch, rowStatistics],
        dispatches: [
          ...dispatches,
          rowDispatch(gpu, call, rowStatistics),
          {
            kernel: {
              parts: [notANumber, {
                file: "attention_backward_query_subgroup.wgsl.ts",
                source: attentionBackwardQuerySubgroup({ subgroupSize, rows, headDim }),
              }],
              features: ["subgroups"],
            },
            parameters,
            buffers: [...inputs, rowStatistics, valve, call.queryGradient.buffer],
            workgroups: [tiles, queryHeads, batches],
          },
          keyValue("key"),
          keyValue("value"),
          ...constantDispatches(call, valve),
        ],
      };
    },
  };
}

// The kernel for keys and values keeps twice as many sums in registers, so that it takes half the rows.
function tiled(name: string, tile: AttentionTile): Variant<AttentionShape, AttentionBackwardCall> {
  return {
    name,
    unfit: (gpu, shape) => unfitTiled(gpu, shape, tile),
    suits: ({ info }, { batches, queryHeads, sequenceLength, headDim }) =>
      !info.software && bestTile(batches * queryHeads * sequenceLength, headDim) === name,
    plan(gpu, call) {
      const { shape, scale, vScale, query, key, value, outputGradient } = call;
      const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
      const { valve, dispatches, scratch } = planValve(gpu, shape, { value, vScale });
      const rowStatistics = gpu.storage(8 * batches * queryHeads * sequenceLength);
      const inputs = [query, key, value, outputGradient].map((tensor) => tensor.buffer);
      const parameters: Scalar[] = [
        { u32: queryHeads },
        { u32: keyValueHeads },
        { u32: sequenceLength },
        { f32: scale },
        { u32: vScale === undefined ? 0 : vScale.mode === "full" ? 1 : 2 },
      ];
      const keyValueTile = { ...tile, quadsDown: 1 };
      const tiles = ({ down, quadsDown }: AttentionTile) =>
        Math.ceil(sequenceLength / (4 * down * quadsDown));
      return {
        scratch: [...scratch, rowStatistics],
        dispatches: [...dispatches, rowDispatch(gpu, call, rowStatistics), {
          kernel: {
            parts: [notANumber, {
              file: "attention_backward_query_tiled.wgsl.ts",
              source: attentionBackwardQueryTiled({ ...tile, headDim }),
            }],
          },
          parameters,
          buffers: [...inputs, rowStatistics, valve, call.queryGradient.buffer],
          workgroups: [tiles(tile), queryHeads, batches],
        }, {
          kernel: {
            parts: [notANumber, {
              file: "attention_backward_key_value_tiled.wgsl.ts",
              source: attentionBackwardKeyValueTiled({ ...keyValueTile, headDim }),
            }],
          },
          parameters,
          buffers: [
            ...inputs,
            rowStatistics,
            valve,
            call.keyGradient.buffer,
            call.valueGradient.buffer,
          ],
          workgroups: [tiles(keyValueTile), keyValueHeads, batches],
        }, ...constantDispatches(call, valve)],
      };
    },
  };
}

const barrierFree: Variant<AttentionShape, AttentionBackwardCall> = {
  name: "barrier-free",
  unfit: unfitBarrierFree,
  // On SwiftShader the tile that compiles in good time is slower than the portable kernels.
  suits: (gpu, shape) => suitsBarrierFree(gpu, shape) && hasWideSubgroups(gpu),
  plan(gpu, call) {
    const { shape, scale, vScale, query, key, value, outputGradient } = call;
    const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
    const { valve, dispatches, scratch } = planValve(gpu, shape, { value, vScale });
    const rowStatistics = gpu.storage(8 * batches * queryHeads * sequenceLength);
    const inputs = [query, key, value, outputGradient].map((tensor) => tensor.buffer);
    const parameters: Scalar[] = [
      { u32: queryHeads },
      { u32: keyValueHeads },
      { u32: sequenceLength },
      { u32: headDim },
      { f32: scale },
      { u32: vScale === undefined ? 0 : vScale.mode === "full" ? 1 : 2 },
    ];
    const tile = backwardTile(gpu);
    const tiles = Math.ceil(sequenceLength / BARRIER_FREE_ROWS);
    return {
      scratch: [...scratch, rowStatistics],
      dispatches: [...dispatches, rowDispatch(gpu, call, rowStatistics), {
        kernel: {
          parts: [notANumber, {
            file: "attention_backward_query_barrier_free.wgsl.ts",
            source: attentionBackwardQueryBarrierFree(tile),
          }],
        },
        parameters,
        buffers: [...inputs, rowStatistics, valve, call.queryGradient.buffer],
        workgroups: [tiles, queryHeads, batches],
      }, {
        kernel: {
          parts: [notANumber, {
            file: "attention_backward_key_value_barrier_free.wgsl.ts",
            source: attentionBackwardKeyValueBarrierFree(tile),
          }],
        },
        parameters,
        buffers: [
          ...inputs,
          rowStatistics,
          valve,
          call.keyGradient.buffer,
          call.valueGradient.buffer,
        ],
        workgroups: [tiles, keyValueHeads, batches],
      }, ...constantDispatches(call, valve)],
    };
  },
};

/** The kernels of attention backward, in order of preference. */
export const attentionBackwardVariants: readonly Variant<AttentionShape, AttentionBackwardCall>[] =
  [
    subgroup(8),
    barrierFree,
    ...Object.entries(attentionTiles).map(([name, tile]) => tiled(name, tile)),
    portable,
  ];
