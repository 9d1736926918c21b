import { attentionBackwardKeyValueTiled } from "../../kernels/attention_backward_key_value_tiled.wgsl.ts";
import { attentionBackwardQueryTiled } from "../../kernels/attention_backward_query_tiled.wgsl.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/pipelines.ts";
import type { Dispatch, Scalar } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { AttentionBackwardCall } from "./attention_backward_call.ts";
import { PANEL_LANES, SUBGROUP_PANEL } from "../../kernels/attention_panels_subgroup_tile.ts";
import {
  barrierFreePanel,
  barrierFreePanelKernels,
  subgroupPanelKernels,
} from "./attention_panel_kernels.ts";
import { type PanelKernels, planPanels, unfitPanels } from "./attention_panels.ts";
import { type AttentionShape, TILE } from "./attention_shape.ts";
import { isWorthCompiling } from "./attention_subgroup.ts";
import { type AttentionTile, attentionTiles, bestTile, unfitTiled } from "./attention_tiled.ts";
import { planValve } from "./attention_valve.ts";
import {
  attentionBackwardKeyValueKernel,
  attentionBackwardQueryKernel,
  attentionBackwardRowKernel,
  notANumber,
  vScaleConstantGradientKernel,
} from "./kernels.ts";
import { unfitForSubgroupSize } from "./unfit.ts";
import { spreadWorkgroups } from "./validation.ts";
import type { Variant, VariantPlan } from "./variants.ts";

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

// What the variants with two kernels share: the rows' statistics first, then queryGradient, then the gradients of keys
// and values, whose kernel comes last because it replaces the valve's (|v|², C) by the terms of the constant's gradient.
function planPasses(
  gpu: Gpu,
  call: AttentionBackwardCall,
  { length = [], query, keyValue }: {
    /** D, or what stands for it, where it is a parameter and not part of the source. */
    readonly length?: readonly Scalar[];
    readonly query: BackwardKernel;
    readonly keyValue: BackwardKernel;
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
      dispatch(keyValue, keyValueHeads, [keyGradient, valueGradient]),
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
      keyValue: { kernel: attentionBackwardKeyValueKernel(headDim, software), tiles },
    });
  },
};

// A kernel that is spelled out in TypeScript.
function unrolled(file: string, source: string): Kernel {
  return { parts: [notANumber, { file, source }] };
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
        keyValue: {
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

// For adapters that compute on the CPU: storing the probabilities is cheaper there than computing them again.
function planInPanels(
  gpu: Gpu,
  call: AttentionBackwardCall,
  kernels: PanelKernels,
): VariantPlan {
  const { shape, vScale, value } = call;
  const { valve, dispatches, scratch } = planValve(gpu, shape, { value, vScale });
  const rowStatistics = gpu.storage(8 * shape.batches * shape.queryHeads * shape.sequenceLength);
  const panels = planPanels(gpu, call, { kernels, rowStatistics, valve });
  return {
    scratch: [...scratch, rowStatistics, ...panels.scratch],
    dispatches: [
      ...dispatches,
      rowDispatch(gpu, call, rowStatistics),
      ...panels.dispatches,
      ...constantDispatches(call, valve),
    ],
  };
}

const subgroupPanels: Variant<AttentionShape, AttentionBackwardCall> = {
  name: "panels",
  unfit: (gpu, shape) =>
    unfitForSubgroupSize(gpu, [PANEL_LANES]) ?? unfitPanels(gpu, shape, SUBGROUP_PANEL),
  suits: (gpu, shape) => gpu.info.software && isWorthCompiling(shape),
  plan: (gpu, call) => planInPanels(gpu, call, subgroupPanelKernels()),
};

const barrierFreePanels: Variant<AttentionShape, AttentionBackwardCall> = {
  name: "panels-barrier-free",
  unfit: (gpu, shape) => unfitPanels(gpu, shape, barrierFreePanel(gpu)),
  suits: (gpu, shape) => gpu.info.software && isWorthCompiling(shape),
  plan: (gpu, call) =>
    planInPanels(gpu, call, barrierFreePanelKernels(barrierFreePanel(gpu), call.shape.headDim)),
};

/** The kernels of attention backward, in order of preference. */
export const attentionBackwardVariants: readonly Variant<AttentionShape, AttentionBackwardCall>[] =
  [
    subgroupPanels,
    barrierFreePanels,
    ...Object.entries(attentionTiles).map(([name, tile]) => tiled(name, tile)),
    portable,
  ];
