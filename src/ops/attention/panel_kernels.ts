/**
 * The kernels of attention backward that store the probabilities and the logits' gradients in
 * panels: one set of kernels for subgroups of 8 lanes, and one set that uses no subgroups.
 */
import { attentionBackwardPanelsBarrierFree } from "../../../kernels/attention/panels/fill_barrier_free.wgsl.ts";
import { attentionBackwardPanelsKeyValueBarrierFree } from "../../../kernels/attention/panels/key_value_barrier_free.wgsl.ts";
import { attentionBackwardPanelsKeyValueSubgroup } from "../../../kernels/attention/panels/key_value_subgroup.wgsl.ts";
import { attentionBackwardPanelsQueryBarrierFree } from "../../../kernels/attention/panels/query_barrier_free.wgsl.ts";
import { attentionBackwardPanelsQuerySubgroup } from "../../../kernels/attention/panels/query_subgroup.wgsl.ts";
import { attentionBackwardPanelsSubgroup } from "../../../kernels/attention/panels/fill_subgroup.wgsl.ts";
import type { PanelBarrierFreeOptions } from "../../../kernels/attention/panels/barrier_free_tile.ts";
import {
  SUBGROUP_COLUMNS,
  SUBGROUP_PANEL,
} from "../../../kernels/attention/panels/subgroup_tile.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { unrolledKernel } from "./kernel.ts";
import type { PanelKernels } from "./panels.ts";
import { hasWideSubgroups } from "./subgroup.ts";

/**
 * The kernels for subgroups of 8 lanes. One compilation serves every D.
 *
 * @param options `firstQuery`: whether query 0 has a gradient, as `firstQueryHasGradient` tells
 */
export function subgroupPanelKernels(
  options: { readonly firstQuery: boolean },
): PanelKernels {
  const kernel = (name: string, source: string) =>
    unrolledKernel(`attention/panels/${name}_subgroup.wgsl.ts`, source, {
      features: ["subgroups"],
    });
  return {
    tile: SUBGROUP_PANEL,
    columns: SUBGROUP_COLUMNS,
    panels: kernel("fill", attentionBackwardPanelsSubgroup(options)),
    keyValue: kernel("key_value", attentionBackwardPanelsKeyValueSubgroup()),
    query: kernel("query", attentionBackwardPanelsQuerySubgroup()),
  };
}

/**
 * The tile of the kernels without subgroup operations, on adapters with subgroups of four lanes.
 * SwiftShader has them, and reads the numbers of neighboring lanes at once if these are contiguous.
 */
export const NARROW_PANEL: PanelBarrierFreeOptions = {
  lanes: 4,
  rows: 32,
  groups: 16,
  keys: 64,
  step: 4,
};

/** The same kernels' tile if subgroups have at least eight lanes, or if their size is unknown. */
export const WIDE_PANEL: PanelBarrierFreeOptions = {
  lanes: 8,
  rows: 16,
  groups: 8,
  keys: 64,
  step: 1,
};

/** Chooses the tile of the kernels without subgroup operations. */
export function barrierFreePanel(gpu: Gpu): PanelBarrierFreeOptions {
  return hasWideSubgroups(gpu) || gpu.info.subgroupSize === undefined ? WIDE_PANEL : NARROW_PANEL;
}

/**
 * The kernels without subgroups. They compute gradients in blocks of 64 columns, or of 32 if that
 * leaves fewer unused columns past D in the last block.
 *
 * @param options the kernels' tile; `firstQuery`: whether query 0 has a gradient, as
 *   `firstQueryHasGradient` tells
 */
export function barrierFreePanelKernels(
  options: PanelBarrierFreeOptions & { readonly firstQuery: boolean },
  headDim: number,
): PanelKernels {
  const kernel = (name: string, source: string) =>
    unrolledKernel(`attention/panels/${name}_barrier_free.wgsl.ts`, source);
  const waste = (columns: number) => Math.ceil(headDim / columns) * columns;
  const most = options.lanes * options.groups;
  const columns = waste(most / 2) < waste(most) ? most / 2 : most;
  const ofGradient = { ...options, groups: columns / options.lanes };
  return {
    tile: { rows: options.rows, keys: options.keys },
    columns,
    panels: kernel("fill", attentionBackwardPanelsBarrierFree(options)),
    keyValue: kernel("key_value", attentionBackwardPanelsKeyValueBarrierFree(ofGradient)),
    query: kernel("query", attentionBackwardPanelsQueryBarrierFree(ofGradient)),
  };
}
