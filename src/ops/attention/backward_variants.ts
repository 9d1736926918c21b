/**
 * The variants of attention backward.
 *
 * | variant               | for                   | why                                          |
 * | --------------------- | --------------------- | -------------------------------------------- |
 * | `panels`              | CPU, subgroups of 8   | stores probabilities: no second computation  |
 * | `panels-barrier-free` | other CPUs, T from 64 | the same without subgroups                   |
 * | `tiled-64x32` …       | GPUs                  | computes probabilities again, in fast memory |
 * | `tiled-64x32-f16` …   | GPUs, by name only    | half the memory, for rounded operands        |
 * | `portable`            | everything else       | the readable definition                      |
 *
 * In tiled_choice.ts, `bestTile` picks the default tile by the GPU's registers, and
 * `holdsBothGradients` decides whether one kernel computes the gradients of both key and value.
 */
import keyValueSource from "../../../kernels/attention/backward_key_value.wgsl" with {
  type: "text",
};
import querySource from "../../../kernels/attention/backward_query.wgsl" with { type: "text" };
import { attentionBackwardKeyTiled } from "../../../kernels/attention/tiled/backward_key.wgsl.ts";
import { attentionBackwardKeyValueTiled } from "../../../kernels/attention/tiled/backward_key_value.wgsl.ts";
import { attentionBackwardQueryTiled } from "../../../kernels/attention/tiled/backward_query.wgsl.ts";
import { attentionBackwardValueTiled } from "../../../kernels/attention/tiled/backward_value.wgsl.ts";
import type { AttentionTiledOptions } from "../../../kernels/attention/tiled/tile.ts";
import { PANEL_LANES, SUBGROUP_PANEL } from "../../../kernels/attention/panels/subgroup_tile.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { AttentionBackwardCall } from "./call.ts";
import { suitsBarrierFree } from "./barrier_free.ts";
import {
  barrierFreePanel,
  barrierFreePanelKernels,
  subgroupPanelKernels,
} from "./panel_kernels.ts";
import { portableKernel, unrolledKernel } from "./kernel.ts";
import { type PanelKernels, planPanels, unfitPanels } from "./panels.ts";
import { planRows } from "./row.ts";
import { type AttentionShape, TILE, tileParameters } from "./shape.ts";
import { firstQueryHasGradient } from "./sink.ts";
import { hasWideSubgroups } from "./subgroup.ts";
import {
  attentionHalfTiles,
  type AttentionTile,
  attentionTiles,
  keyValueTile,
  tileRows,
  unfitTiled,
} from "./tiled.ts";
import { bestTile, holdsBothGradients } from "./tiled_choice.ts";
import { planValve } from "./valve.ts";
import { unfitForSubgroupSize } from "../shared/unfit.ts";
import type { Variant, VariantPlan } from "../shared/variants.ts";
import { sumConstantTerms } from "../v_scale/constant_gradient.ts";

const queryPart: KernelPart = { file: "attention/backward_query.wgsl", source: querySource };
const keyValuePart: KernelPart = {
  file: "attention/backward_key_value.wgsl",
  source: keyValueSource,
};

/** Plans the dispatches in which variants differ: those that compute the three gradients. */
type Passes = (
  buffers: { readonly rowStatistics: GPUBuffer; readonly valve: GPUBuffer },
) => VariantPlan;

// Plans a call in three stages; variants differ only in the second. The first stage writes
// (|v|², C) of every value row for V-scale, the two numbers of every query row that `planRows`
// defines, and the sink's gradient. In the second, `passes` computes the three gradients and
// overwrites (|v|², C) with the terms of the constant's gradient. The third adds these terms.
function planFrame(gpu: Gpu, call: AttentionBackwardCall, passes: Passes): VariantPlan {
  const { shape, vScale, value, constantGradient } = call;
  const { valve, dispatches, scratch } = planValve(gpu, shape, { value, vScale });
  const rowStatistics = gpu.storage(8 * shape.batches * shape.queryHeads * shape.sequenceLength);
  const gradients = passes({ rowStatistics, valve });
  return {
    scratch: [...scratch, rowStatistics, ...gradients.scratch],
    dispatches: [
      ...dispatches,
      ...planRows(gpu, call, rowStatistics),
      ...gradients.dispatches,
      ...constantGradient === undefined ? [] : [sumConstantTerms(shape, valve, constantGradient)],
    ],
  };
}

/** One kernel of a backward pass. */
interface BackwardKernel {
  readonly kernel: Kernel;
  /** The number of workgroups along the sequence. */
  readonly tiles: number;
  readonly heads: number;
  /** The gradients that it writes. */
  readonly gradients: readonly Tensor[];
}

// Plans the variants without panels, one kernel after the other. Kernels for valueGradient come
// last, because they overwrite V-scale's (|v|², C).
function planKernels(
  gpu: Gpu,
  call: AttentionBackwardCall,
  { passesHeadDim, kernels }: {
    /** Whether the kernels get D as a parameter instead of as a constant in their source. */
    readonly passesHeadDim: boolean;
    readonly kernels: readonly BackwardKernel[];
  },
): VariantPlan {
  const { shape, scale, vScale } = call;
  return planFrame(gpu, call, ({ rowStatistics, valve }) => ({
    scratch: [],
    dispatches: kernels.map(({ kernel, tiles, heads, gradients }) => ({
      kernel,
      parameters: tileParameters(shape, { scale, mode: vScale?.mode, passesHeadDim }),
      buffers: [
        call.query,
        call.key,
        call.value,
        call.outputGradient,
        rowStatistics,
        valve,
        ...gradients,
      ],
      workgroups: [tiles, heads, shape.batches],
    })),
  }));
}

const portable: Variant<AttentionShape, AttentionBackwardCall> = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan(gpu, call) {
    const { headDim, sequenceLength } = call.shape;
    const { software } = gpu.info;
    const tiles = Math.ceil(sequenceLength / TILE);
    const { queryHeads, keyValueHeads } = call.shape;
    return planKernels(gpu, call, {
      passesHeadDim: true,
      kernels: [
        {
          kernel: portableKernel(queryPart, headDim, software),
          tiles,
          heads: queryHeads,
          gradients: [call.queryGradient],
        },
        {
          kernel: portableKernel(keyValuePart, headDim, software),
          tiles,
          heads: keyValueHeads,
          gradients: [call.keyGradient, call.valueGradient],
        },
      ],
    });
  },
};

function tiled(name: string, tile: AttentionTile): Variant<AttentionShape, AttentionBackwardCall> {
  return {
    name,
    unfit: (gpu, shape) => unfitTiled(gpu, shape, tile),
    suits: (gpu, shape) => !gpu.info.software && bestTile(gpu, shape, "backward") === name,
    plan(gpu, call) {
      const { headDim, sequenceLength, queryHeads, keyValueHeads } = call.shape;
      const { queryGradient, keyGradient, valueGradient } = call;
      const kernel = (
        file: string,
        write: (options: AttentionTiledOptions) => string,
        { of, heads, gradients }: {
          readonly of: AttentionTile;
          readonly heads: number;
          readonly gradients: readonly Tensor[];
        },
      ): BackwardKernel => ({
        kernel: unrolledKernel(`attention/tiled/${file}.wgsl.ts`, write({ ...of, headDim })),
        tiles: Math.ceil(sequenceLength / tileRows(of)),
        heads,
        gradients,
      });
      const ofKeys = { of: keyValueTile(tile), heads: keyValueHeads };
      return planKernels(gpu, call, {
        passesHeadDim: false,
        kernels: [
          kernel(
            "backward_query",
            (options) =>
              attentionBackwardQueryTiled({ ...options, firstQuery: firstQueryHasGradient(call) }),
            {
              of: tile,
              heads: queryHeads,
              gradients: [queryGradient],
            },
          ),
          ...holdsBothGradients(gpu.info, tile, headDim)
            ? [
              kernel("backward_key_value", attentionBackwardKeyValueTiled, {
                ...ofKeys,
                gradients: [keyGradient, valueGradient],
              }),
            ]
            : [
              kernel("backward_key", attentionBackwardKeyTiled, {
                ...ofKeys,
                gradients: [keyGradient],
              }),
              kernel("backward_value", attentionBackwardValueTiled, {
                ...ofKeys,
                gradients: [valueGradient],
              }),
            ],
        ],
      });
    },
  };
}

// Plans the variants for adapters that compute on the CPU, where storing the probabilities is
// cheaper than recomputing them.
function planInPanels(
  gpu: Gpu,
  call: AttentionBackwardCall,
  kernels: PanelKernels,
): VariantPlan {
  return planFrame(gpu, call, (buffers) => planPanels(gpu, call, { kernels, ...buffers }));
}

const subgroupPanels: Variant<AttentionShape, AttentionBackwardCall> = {
  name: "panels",
  forCpu: true,
  unfit: (gpu, shape) =>
    unfitForSubgroupSize(gpu, [PANEL_LANES]) ?? unfitPanels(gpu, shape, SUBGROUP_PANEL),
  suits: (gpu) => gpu.info.software && hasWideSubgroups(gpu),
  plan: (gpu, call) =>
    planInPanels(gpu, call, subgroupPanelKernels({ firstQuery: firstQueryHasGradient(call) })),
};

const barrierFreePanels: Variant<AttentionShape, AttentionBackwardCall> = {
  name: "panels-barrier-free",
  forCpu: true,
  unfit: (gpu, shape) => unfitPanels(gpu, shape, barrierFreePanel(gpu)),
  suits: suitsBarrierFree,
  plan: (gpu, call) =>
    planInPanels(
      gpu,
      call,
      barrierFreePanelKernels(
        { ...barrierFreePanel(gpu), firstQuery: firstQueryHasGradient(call) },
        call.shape.headDim,
      ),
    ),
};

/** The variants of attention backward, in order of preference. */
export const attentionBackwardVariants: readonly Variant<AttentionShape, AttentionBackwardCall>[] =
  [
    subgroupPanels,
    barrierFreePanels,
    ...Object.entries(attentionTiles).map(([name, tile]) => tiled(name, tile)),
    portable,
  ];

/**
 * The variants with tiles in f16, which run only if named. They round query, key, the probabilities
 * and the logits' gradients to f16, with a scale for each row of the last two, and add in f32.
 * Value and outputGradient stay unrounded, because ⟨outputGradient_t, value_j⟩ − D_t may cancel.
 * These variants need half the workgroup memory. f16 cannot hold a query or key beyond 65,504.
 */
export const attentionBackwardHalfVariants: readonly Variant<
  AttentionShape,
  AttentionBackwardCall
>[] = Object.entries(attentionHalfTiles).map(([name, tile]) => tiled(name, tile));
