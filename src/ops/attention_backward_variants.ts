import { attentionBackwardKeyValueBarrierFree } from "../../kernels/attention_backward_key_value_barrier_free.wgsl.ts";
import { attentionBackwardKeyValueSubgroup } from "../../kernels/attention_backward_key_value_subgroup.wgsl.ts";
import { attentionBackwardQueryBarrierFree } from "../../kernels/attention_backward_query_barrier_free.wgsl.ts";
import { attentionBackwardQuerySubgroup } from "../../kernels/attention_backward_query_subgroup.wgsl.ts";
import { attentionBackwardKeyValueTiled } from "../../kernels/attention_backward_key_value_tiled.wgsl.ts";
import { attentionBackwardQueryTiled } from "../../kernels/attention_backward_query_tiled.wgsl.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/pipelines.ts";
import type { Dispatch, Scalar } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import {
  backwardTile,
  BARRIER_FREE_ROWS,
  suitsBarrierFree,
  unfitBarrierFree,
} from "./attention_barrier_free.ts";
import type { AttentionForwardCall } from "./attention_forward_variants.ts";
import { type AttentionShape, TILE } from "./attention_shape.ts";
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
import type { Variant, VariantPlan } from "./variants.ts";

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

/** One kernel of a backward pass, and over how many workgroups along the sequence it goes. */
interface BackwardKernel {
  readonly kernel: Kernel;
  readonly tiles: number;
}

// What the kernels of all variants share: the rows' statistics first, then queryGradient, then the gradients of keys and
// values, in one kernel or in two. The one that writes valueGradient comes last: it replaces the valve's (|v|², C) by
// the terms of the constant's gradient.
function planPasses(
  gpu: Gpu,
  call: AttentionBackwardCall,
  { length = [], query, key, value }: {
    /** D, or what stands for it, where it is a parameter and not part of the source. */
    readonly length?: readonly Scalar[];
    readonly query: BackwardKernel;
    /** Where `value` does not write both gradients. */
    readonly key?: BackwardKernel;
    readonly value: BackwardKernel;
  },
): VariantPlan {
  const { shape, scale, vScale, queryGradient, keyGradient, valueGradient } = call;
  const { batches, queryHeads, keyValueHeads, sequenceLength } = shape;
  const { valve, dispatches, scratch } = planValve(gpu, shape, { value: call.value, vScale });
  const rowStatistics = gpu.storage(8 * batches * queryHeads * sequenceLength);
  const dispatch = (
    { kernel, tiles }: BackwardKernel,
    heads: number,
    gradients: readonly Tensor[],
  ): Dispatch => ({
    kernel,
    parameters: [
      { u32: queryHeads },
      { u32: keyValueHeads },
      { u32: sequenceLength },
      ...length,
      { f32: scale },
      { u32: vScale === undefined ? 0 : vScale.mode === "full" ? 1 : 2 },
    ],
    buffers: [
      call.query.buffer,
      call.key.buffer,
      call.value.buffer,
      call.outputGradient.buffer,
      rowStatistics,
      valve,
      ...gradients.map(({ buffer }) => buffer),
    ],
    workgroups: [tiles, heads, batches],
  });
  return {
    scratch: [...scratch, rowStatistics],
    dispatches: [
      ...dispatches,
      rowDispatch(gpu, call, rowStatistics),
      dispatch(query, queryHeads, [queryGradient]),
      ...key === undefined ? [] : [dispatch(key, keyValueHeads, [keyGradient])],
      dispatch(
        value,
        keyValueHeads,
        key === undefined ? [keyGradient, valueGradient] : [valueGradient],
      ),
      ...constantDispatches(call, valve),
    ],
  };
}

const portable: Variant<AttentionShape, AttentionBackwardCall> = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan(gpu, call) {
    const { headDim, sequenceLength } = call.shape;
    const { software } = gpu.info;
    const tiles = Math.ceil(sequenceLength / TILE);
    return planPasses(gpu, call, {
      length: [{ u32: headDim / 4 }],
      query: { kernel: attentionBackwardQueryKernel(headDim, software), tiles },
      value: { kernel: attentionBackwardKeyValueKernel(headDim, software), tiles },
    });
  },
};

// A kernel that is spelled out in TypeScript.
function unrolled(file: string, source: string, features: Kernel["features"] = []): Kernel {
  return { parts: [notANumber, { file, source }], features };
}

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
      const { headDim, sequenceLength } = call.shape;
      const options = { subgroupSize: gpu.info.subgroupSize?.minimum ?? 0, rows, headDim };
      const tiles = Math.ceil(sequenceLength / rows);
      const keyValue = (gradient: "key" | "value"): BackwardKernel => ({
        kernel: unrolled(
          "attention_backward_key_value_subgroup.wgsl.ts",
          attentionBackwardKeyValueSubgroup({ ...options, gradient }),
          ["subgroups"],
        ),
        tiles,
      });
      return planPasses(gpu, call, {
        query: {
          kernel: unrolled(
            "attention_backward_query_subgroup.wgsl.ts",
            attentionBackwardQuerySubgroup(options),
            ["subgroups"],
          ),
          tiles,
        },
        key: keyValue("key"),
        value: keyValue("value"),
      });
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
      const { headDim, sequenceLength } = call.shape;
      const keyValueTile = { ...tile, quadsDown: 1 };
      const tiles = ({ down, quadsDown }: AttentionTile) =>
        Math.ceil(sequenceLength / (4 * down * quadsDown));
      return planPasses(gpu, call, {
        query: {
          kernel: unrolled(
            "attention_backward_query_tiled.wgsl.ts",
            attentionBackwardQueryTiled({ ...tile, headDim }),
          ),
          tiles: tiles(tile),
        },
        value: {
          kernel: unrolled(
            "attention_backward_key_value_tiled.wgsl.ts",
            attentionBackwardKeyValueTiled({ ...keyValueTile, headDim }),
          ),
          tiles: tiles(keyValueTile),
        },
      });
    },
  };
}

const barrierFree: Variant<AttentionShape, AttentionBackwardCall> = {
  name: "barrier-free",
  unfit: unfitBarrierFree,
  // On SwiftShader the tile that compiles in good time is slower than the portable kernels.
  suits: (gpu, shape) => suitsBarrierFree(gpu, shape) && hasWideSubgroups(gpu),
  plan(gpu, call) {
    const { headDim, sequenceLength } = call.shape;
    const tile = backwardTile(gpu);
    const tiles = Math.ceil(sequenceLength / BARRIER_FREE_ROWS);
    return planPasses(gpu, call, {
      length: [{ u32: headDim }],
      query: {
        kernel: unrolled(
          "attention_backward_query_barrier_free.wgsl.ts",
          attentionBackwardQueryBarrierFree(tile),
        ),
        tiles,
      },
      value: {
        kernel: unrolled(
          "attention_backward_key_value_barrier_free.wgsl.ts",
          attentionBackwardKeyValueBarrierFree(tile),
        ),
        tiles,
      },
    });
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
