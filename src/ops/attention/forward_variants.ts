/**
 * The variants of attention forward.
 *
 * | variant             | for                   | why                                             |
 * | ------------------- | --------------------- | ----------------------------------------------- |
 * | `subgroup-32` …     | CPU, subgroups of 8+  | no barrier; a workgroup's rows share loads      |
 * | `barrier-free`      | other CPUs, T from 64 | no barrier, and no need of wide subgroups       |
 * | `tiled-64x32` …     | GPUs                  | tiles in workgroup memory, sums in registers    |
 * | `tiled-64x32-f16` … | GPUs, by name only    | half the memory, for rounded operands           |
 * | `portable`          | everything else       | the readable definition                         |
 *
 * In tiled_choice.ts, `bestTile` picks the default tile by the GPU's registers.
 */
import forwardSource from "../../../kernels/attention/forward.wgsl" with { type: "text" };
import { attentionForwardBarrierFree } from "../../../kernels/attention/forward_barrier_free.wgsl.ts";
import { attentionForwardSubgroup } from "../../../kernels/attention/forward_subgroup.wgsl.ts";
import { attentionForwardTiled } from "../../../kernels/attention/tiled/forward.wgsl.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import {
  BARRIER_FREE_ROWS,
  FORWARD_TILE,
  suitsBarrierFree,
  unfitBarrierFree,
} from "./barrier_free.ts";
import type { AttentionForwardCall } from "./call.ts";
import { portableForwardKernel, unrolledKernel } from "./kernel.ts";
import { type AttentionShape, TILE, tileParameters } from "./shape.ts";
import { suitsSubgroup, unfitSubgroup } from "./subgroup.ts";
import {
  attentionHalfTiles,
  type AttentionTile,
  attentionTiles,
  tileRows,
  unfitTiled,
} from "./tiled.ts";
import { bestTile } from "./tiled_choice.ts";
import { planValve } from "./valve.ts";
import type { Variant, VariantPlan } from "../shared/variants.ts";

const portablePart: KernelPart = { file: "attention/forward.wgsl", source: forwardSource };

const portable: Variant<AttentionShape, AttentionForwardCall> = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan(gpu, { shape, scale, vScale, sinkLogit, query, key, value, output, logSumExp }) {
    const full = vScale?.mode === "full" ? vScale : undefined;
    const { valve, dispatches, scratch } = planValve(gpu, shape, { value, vScale: full });
    return {
      scratch,
      dispatches: [...dispatches, {
        kernel: portableForwardKernel(portablePart, {
          headDim: shape.headDim,
          software: gpu.info.software,
          hasSink: sinkLogit !== undefined,
        }),
        parameters: tileParameters(shape, { scale, mode: vScale?.mode }),
        buffers: [
          query,
          key,
          value,
          valve,
          output,
          logSumExp,
          ...sinkLogit === undefined ? [] : [sinkLogit],
        ],
        workgroups: [Math.ceil(shape.sequenceLength / TILE), shape.queryHeads, shape.batches],
      }],
    };
  },
};

/**
 * A kernel that TypeScript unrolls. `write` returns its WGSL; `sink` tells whether query heads have
 * a sink.
 */
interface Unrolled {
  readonly file: string;
  readonly write: (options: { readonly sink: boolean }) => string;
  readonly features?: Kernel["features"];
}

// Plans the kernels other than the portable one. They share bindings, and expect `scale` times
// log₂ e, because they compute powers of 2 instead of e.
function planUnrolled(
  gpu: Gpu,
  { shape, scale, vScale, sinkLogit, query, key, value, output, logSumExp }: AttentionForwardCall,
  { file, write, features = [], rows, passesHeadDim = false }: Unrolled & {
    /** Query rows per workgroup. */
    readonly rows: number;
    /** Whether the kernel gets D as a parameter instead of as a constant in its source. */
    readonly passesHeadDim?: boolean;
  },
): VariantPlan {
  const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
  const full = vScale?.mode === "full" ? vScale : undefined;
  const { valve, dispatches, scratch } = planValve(gpu, shape, { value, vScale: full });
  const hasSink = sinkLogit !== undefined;
  return {
    scratch,
    dispatches: [...dispatches, {
      kernel: unrolledKernel(file, write({ sink: hasSink }), { features, hasSink }),
      parameters: [
        { u32: queryHeads },
        { u32: keyValueHeads },
        { u32: sequenceLength },
        ...passesHeadDim ? [{ u32: headDim }] : [],
        { f32: scale * Math.LOG2E },
        { u32: full === undefined ? 0 : 1 },
      ],
      buffers: [query, key, value, valve, output, logSumExp, ...hasSink ? [sinkLogit] : []],
      workgroups: [Math.ceil(sequenceLength / rows), queryHeads, batches],
    }],
  };
}

// The variant in which each workgroup is one subgroup and computes `rows` query rows, for adapters
// that compute on the CPU. More rows mean more arithmetic per load but longer compilation. On
// lavapipe, a kernel of 32 rows compiles in 2.4 s at D = 64 and in 4.3 s at D = 128, and runs a
// fifth faster than one of 16 rows.
function subgroup(rows: number): Variant<AttentionShape, AttentionForwardCall> {
  return {
    name: `subgroup-${rows}`,
    forCpu: true,
    unfit: (gpu, shape) => unfitSubgroup(gpu, shape, rows),
    suits: (gpu, shape) => suitsSubgroup(gpu, shape, rows),
    plan(gpu, call) {
      const subgroupSize = gpu.info.subgroupSize?.minimum ?? 0;
      return planUnrolled(gpu, call, {
        file: "attention/forward_subgroup.wgsl.ts",
        write: ({ sink }) =>
          attentionForwardSubgroup({
            subgroupSize,
            rows,
            chunks: Math.ceil(call.shape.headDim / (4 * subgroupSize)),
            sink,
          }),
        features: ["unchecked-subgroups"],
        rows,
        passesHeadDim: true,
      });
    },
  };
}

function tiled(name: string, tile: AttentionTile): Variant<AttentionShape, AttentionForwardCall> {
  return {
    name,
    unfit: (gpu, shape) => unfitTiled(gpu, shape, tile),
    suits: (gpu, shape) => !gpu.info.software && bestTile(gpu, shape, "forward") === name,
    plan: (gpu, call) =>
      planUnrolled(gpu, call, {
        file: "attention/tiled/forward.wgsl.ts",
        write: ({ sink }) => attentionForwardTiled({ ...tile, headDim: call.shape.headDim, sink }),
        rows: tileRows(tile),
      }),
  };
}

const barrierFree: Variant<AttentionShape, AttentionForwardCall> = {
  name: "barrier-free",
  forCpu: true,
  unfit: unfitBarrierFree,
  suits: suitsBarrierFree,
  plan: (gpu, call) =>
    planUnrolled(gpu, call, {
      file: "attention/forward_barrier_free.wgsl.ts",
      write: ({ sink }) => attentionForwardBarrierFree({ ...FORWARD_TILE, sink }),
      rows: BARRIER_FREE_ROWS,
      passesHeadDim: true,
    }),
};

/** The variants of attention forward, in order of preference. */
export const attentionForwardVariants: readonly Variant<AttentionShape, AttentionForwardCall>[] = [
  subgroup(32),
  subgroup(16),
  subgroup(8),
  barrierFree,
  ...Object.entries(attentionTiles).map(([name, tile]) => tiled(name, tile)),
  portable,
];

/**
 * The variants with tiles in f16, which run only if named. They round query, key and the softmax's
 * weights to f16 and add in f32; the value stays unrounded. They halve the workgroup memory and its
 * traffic. f16 cannot hold a query or key beyond 65,504.
 */
export const attentionForwardHalfVariants: readonly Variant<
  AttentionShape,
  AttentionForwardCall
>[] = Object.entries(attentionHalfTiles).map(([name, tile]) => tiled(name, tile));
