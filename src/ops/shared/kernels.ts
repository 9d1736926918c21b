/** The portable WGSL kernels, by operator. */
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import attentionBackwardKeyValueSource from "../../../kernels/attention/backward_key_value.wgsl" with {
  type: "text",
};
import attentionBackwardQuerySource from "../../../kernels/attention/backward_query.wgsl" with {
  type: "text",
};
import attentionBackwardRowSource from "../../../kernels/attention/backward_row.wgsl" with {
  type: "text",
};
import attentionForwardSource from "../../../kernels/attention/forward.wgsl" with { type: "text" };
import attentionSinkStatisticsSource from "../../../kernels/attention/sink_statistics.wgsl" with {
  type: "text",
};
import attentionTileSource from "../../../kernels/attention/tile.wgsl" with { type: "text" };
import notANumberSource from "../../../kernels/not_a_number.wgsl" with { type: "text" };
import rmsNormBackwardGainSource from "../../../kernels/rms_norm/backward_gain.wgsl" with {
  type: "text",
};
import rmsNormBackwardInputSource from "../../../kernels/rms_norm/backward_input.wgsl" with {
  type: "text",
};
import rmsNormForwardSource from "../../../kernels/rms_norm/forward.wgsl" with { type: "text" };
import sumRowsSource from "../../../kernels/rows/column_sums.wgsl" with { type: "text" };
import vScaleSquaredNormSource from "../../../kernels/v_scale/squared_norm.wgsl" with {
  type: "text",
};
import workgroupSumSource from "../../../kernels/workgroup_sum.wgsl" with { type: "text" };

/** exp and log that hand NaN on. */
export const notANumber: KernelPart = { file: "not_a_number.wgsl", source: notANumberSource };
const attentionTile: KernelPart = { file: "attention/tile.wgsl", source: attentionTileSource };
/** A sum over a workgroup of 64 invocations. */
export const workgroupSum: KernelPart = { file: "workgroup_sum.wgsl", source: workgroupSumSource };

/**
 * One of attention's kernels that are spelled out in TypeScript.
 *
 * @param file its file
 * @param source WGSL
 * @param features what it needs of the language
 */
export function unrolledAttentionKernel(
  file: string,
  source: string,
  features: Kernel["features"] = [],
): Kernel {
  return { parts: [notANumber, { file, source }], features };
}

/** A kernel that depends on the head dimension and on whether the adapter computes on the CPU. */
export type TiledKernel = (headDim: number, software: boolean) => Kernel;

// On a GPU each of the 8 lanes of a row keeps its ceil(D / 32) vec4f columns in registers, which takes a pipeline of
// its own for each such number. On the CPU they end in memory anyway: one pipeline, with a rolled loop, serves every
// D up to 256, and compiles in half the time.
function tiled(file: string, source: string): TiledKernel {
  return (headDim, software) => ({
    parts: [notANumber, attentionTile, { file, source }],
    constants: software
      ? { COLUMNS_PER_LANE: 8, ROLLED: true }
      : { COLUMNS_PER_LANE: Math.ceil(headDim / 32), ROLLED: false },
  });
}

/** Fused attention forward, for a head dimension. */
export const attentionForwardKernel: TiledKernel = tiled(
  "attention/forward.wgsl",
  attentionForwardSource,
);
/** Attention backward: what the other two need of every query row. */
export const attentionBackwardRowKernel: Kernel = {
  parts: [{ file: "attention/backward_row.wgsl", source: attentionBackwardRowSource }],
};
/** Attention backward: queryGradient, for a head dimension. */
export const attentionBackwardQueryKernel: TiledKernel = tiled(
  "attention/backward_query.wgsl",
  attentionBackwardQuerySource,
);
/** Attention backward: keyGradient and valueGradient, for a head dimension. */
export const attentionBackwardKeyValueKernel: TiledKernel = tiled(
  "attention/backward_key_value.wgsl",
  attentionBackwardKeyValueSource,
);
/** M_s, S_s and the sink score of one position. */
export const attentionSinkStatisticsKernel: Kernel = {
  parts: [workgroupSum, notANumber, {
    file: "attention/sink_statistics.wgsl",
    source: attentionSinkStatisticsSource,
  }],
};
/** RMSNorm forward. */
export const rmsNormForwardKernel: Kernel = {
  parts: [workgroupSum, { file: "rms_norm/forward.wgsl", source: rmsNormForwardSource }],
};
/** RMSNorm backward: inputGradient. */
export const rmsNormBackwardInputKernel: Kernel = {
  parts: [workgroupSum, {
    file: "rms_norm/backward_input.wgsl",
    source: rmsNormBackwardInputSource,
  }],
};
/** RMSNorm backward: the runs of gainGradient. */
export const rmsNormBackwardGainKernel: Kernel = {
  parts: [{ file: "rms_norm/backward_gain.wgsl", source: rmsNormBackwardGainSource }],
};
/** The column sums of a matrix. */
export function sumRowsOf(element: KernelPart): Kernel {
  return { parts: [element, { file: "rows/column_sums.wgsl", source: sumRowsSource }] };
}
/** (|v|², C) of every value row, for V-scale fused into attention. */
export const vScaleSquaredNormKernel: Kernel = {
  parts: [{ file: "v_scale/squared_norm.wgsl", source: vScaleSquaredNormSource }],
};
