/** Kernels and dispatches that a software adapter, or little data, would never reach. */
import type { Gpu } from "../../../mod.ts";
import { assert } from "../assert.ts";
import { describeAttention } from "../attention_cases.ts";
import type { PropertyOptions } from "../check_cases.ts";
import { siblingGpu } from "../gpu.ts";
import type { Report } from "../report.ts";
import { attentionBackwardMatchesTwin, attentionForwardMatchesTwin } from "./attention_twin.ts";
import {
  rmsNormBackwardMatchesTwin,
  rmsNormForwardMatchesTwin,
  vScaleBackwardMatchesTwin,
  vScaleForwardMatchesTwin,
} from "./rows_twin.ts";

/** Two columns a lane, all lanes full; and three, of which the last lanes lack one. */
const headDims = [
  describeAttention({ batch: 2, keyHeads: 2, group: 2, length: 69, headDim: 64, seed: 111 }),
  describeAttention({
    keyHeads: 2,
    length: 37,
    headDim: 84,
    seed: 112,
    vScale: { mode: "full", size: "usual" },
  }),
];

function merge(name: string, reports: readonly Report[]): Report {
  const { share, worst } = reports.reduce((a, b) => (b.share ?? 0) > (a.share ?? 0) ? b : a);
  return {
    name,
    cases: reports.reduce((sum, { cases }) => sum + cases, 0),
    comparisons: reports.reduce((sum, { comparisons }) => sum + comparisons, 0),
    share,
    worst,
  };
}

/**
 * The attention kernels that a hardware GPU gets, specialised for the head dimension, and the one kernel for all of
 * them that a software adapter gets: whichever of the two this adapter does not use by itself agrees with the twin.
 */
export async function otherSpecialisationMatchesTwin(
  gpu: Gpu,
  options: PropertyOptions = {},
): Promise<Report> {
  const sibling = siblingGpu(gpu, { software: !gpu.info.software });
  const pinned = { ...options, examples: headDims, runs: 0 };
  const forward = await attentionForwardMatchesTwin(sibling, pinned);
  const backward = await attentionBackwardMatchesTwin(sibling, pinned);
  await sibling.sync();
  // Forward, query and key-value: one each, or one a head dimension; and two kernels of rows besides, with V-scale's.
  const [few, many] = [3 + 3, 6 + 3];
  assert(
    sibling.pipelines.size === (gpu.info.software ? many : few),
    `${sibling.pipelines.size} pipelines were compiled`,
  );
  return merge("kernels of the other specialisation", [forward, backward]);
}

/** Row operators where one dimension of a dispatch holds 3 workgroups only: all of them spread over two dimensions. */
export async function dispatchesSpread(
  gpu: Gpu,
  options: PropertyOptions = {},
): Promise<Report> {
  const narrow = siblingGpu(gpu, { limits: { maxComputeWorkgroupsPerDimension: 3 } });
  const attention = {
    ...options,
    examples: [
      describeAttention({
        batch: 3,
        keyHeads: 3,
        length: 69,
        headDim: 8,
        seed: 113,
        vScale: { mode: "full", size: "usual" },
      }),
    ],
    runs: 0,
  };
  const norm = {
    ...options,
    examples: [{ rows: 37, columns: 70, seed: 114, pattern: "normal" as const }],
    runs: 0,
  };
  const valve = {
    ...options,
    examples: [{
      batch: 2,
      heads: 3,
      length: 67,
      columns: 12,
      seed: 115,
      pattern: "normal" as const,
      constant: 1,
    }],
    runs: 0,
  };
  const reports = [
    await attentionForwardMatchesTwin(narrow, attention),
    await attentionBackwardMatchesTwin(narrow, attention),
    await rmsNormForwardMatchesTwin(narrow, norm),
    await rmsNormBackwardMatchesTwin(narrow, norm),
    await vScaleForwardMatchesTwin(narrow, valve),
    await vScaleBackwardMatchesTwin(narrow, valve),
  ];
  await narrow.sync();
  return merge("dispatches spread over two dimensions", reports);
}
