/** Kernels and dispatches that a software adapter or small data would never reach. */
import type { Gpu } from "../../../mod.ts";
import { assert } from "../assert/assert.ts";
import { describeAttention, FULL } from "../attention/cases.ts";
import type { PropertyOptions } from "../check_cases.ts";
import { siblingGpu } from "../gpu.ts";
import type { Report } from "../report.ts";
import { attentionBackwardMatchesTwin, attentionForwardMatchesTwin } from "./attention/twin.ts";
import {
  rmsNormBackwardMatchesTwin,
  rmsNormForwardMatchesTwin,
  vScaleBackwardMatchesTwin,
  vScaleForwardMatchesTwin,
} from "./rows/twin.ts";

/**
 * On eight lanes, D = 64 gives each lane two vec4f columns. D = 84 gives five lanes three columns,
 * and the last three lanes two.
 */
const headDims = [
  describeAttention({ batch: 2, keyHeads: 2, group: 2, length: 69, headDim: 64, seed: 111 }),
  describeAttention({ keyHeads: 2, length: 21, headDim: 84, seed: 112, vScale: FULL }),
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
 * A hardware GPU gets portable attention kernels specialized for the head dimension, a software
 * adapter one kernel for all head dimensions. Here the adapter runs the kernels that it would not
 * get. They must agree with the twin, too.
 */
export async function otherSpecializationMatchesTwin(
  gpu: Gpu,
  options: PropertyOptions = {},
): Promise<Report> {
  const sibling = siblingGpu(gpu, { software: !gpu.info.software });
  sibling.variants.get = () => "portable"; // the variant with two specializations
  const pinned = { ...options, examples: headDims, runs: 0 };
  const forward = await attentionForwardMatchesTwin(sibling, pinned);
  const backward = await attentionBackwardMatchesTwin(sibling, pinned);
  await sibling.sync();
  // Three kernels compute the forward, the query gradients, and the key and value gradients. A GPU
  // that specializes compiles them once for each of the two head dimensions. Three more kernels, of
  // V-scale and of rows, serve all head dimensions.
  const [few, many] = [3 + 3, 6 + 3];
  assert(
    sibling.pipelines.size === (gpu.info.software ? many : few),
    `${sibling.pipelines.size} pipelines were compiled`,
  );
  return merge("kernels of the other specialization", [forward, backward]);
}

/** Keeps one `Gpu` with narrow dispatches for each `Gpu`, so that its kernels compile once. */
const narrowed = new WeakMap<Gpu, Gpu>();

/**
 * A sibling of a `Gpu` whose dispatches hold at most 7 workgroups per dimension. The same argument
 * gives the same sibling.
 */
export function narrowGpu(gpu: Gpu): Gpu {
  const limits = { maxComputeWorkgroupsPerDimension: 7 };
  const sibling = narrowed.get(gpu) ?? siblingGpu(gpu, { limits });
  narrowed.set(gpu, sibling);
  return sibling;
}

export interface SpreadOptions extends PropertyOptions {
  /** Default: all. */
  readonly operators?: readonly ("attention" | "rmsNorm" | "vScale")[];
}

const spreadAttention = [
  describeAttention({ batch: 3, keyHeads: 3, length: 69, headDim: 8, seed: 113, vScale: FULL }),
];
const spreadRmsNorm = [{ rows: 37, columns: 70, seed: 114, pattern: "normal" as const }];
const spreadVScale = [{
  batch: 3,
  heads: 3,
  length: 69,
  columns: 12,
  seed: 115,
  pattern: "normal" as const,
  constant: 1,
}];

/**
 * The operators agree with the twin even if a dimension of a dispatch holds only 7 workgroups, so
 * that every dispatch spreads over two dimensions.
 */
export async function dispatchesSpread(
  gpu: Gpu,
  { operators = ["attention", "rmsNorm", "vScale"], ...options }: SpreadOptions = {},
): Promise<Report> {
  const sibling = narrowGpu(gpu);
  const attention = { ...options, examples: spreadAttention, runs: 0 };
  const rmsNorm = { ...options, examples: spreadRmsNorm, runs: 0 };
  const vScale = { ...options, examples: spreadVScale, runs: 0 };
  const reports: Report[] = [];
  if (operators.includes("attention")) {
    reports.push(await attentionForwardMatchesTwin(sibling, attention));
    reports.push(await attentionBackwardMatchesTwin(sibling, attention));
  }
  if (operators.includes("rmsNorm")) {
    reports.push(await rmsNormForwardMatchesTwin(sibling, rmsNorm));
    reports.push(await rmsNormBackwardMatchesTwin(sibling, rmsNorm));
  }
  if (operators.includes("vScale")) {
    reports.push(await vScaleForwardMatchesTwin(sibling, vScale));
    reports.push(await vScaleBackwardMatchesTwin(sibling, vScale));
  }
  await sibling.sync();
  return merge("dispatches spread over two dimensions", reports);
}
