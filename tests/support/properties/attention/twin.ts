/**
 * Attention on the GPU against the float64 twin, forward and backward, on identical float32 inputs.
 */
import {
  attentionBackward,
  type AttentionBackwardOptions,
  type AttentionBackwardResult,
  attentionForward,
  type AttentionForwardOptions,
  type AttentionForwardResult,
  type Gpu,
} from "../../../../mod.ts";
import * as reference from "../../../../src/reference/mod.ts";
import {
  type AttentionCase,
  type AttentionDescription,
  attentionDescription,
  type AttentionPattern,
  describeAttention,
  drawAttention,
  forwardResults,
  toTwin,
  twinInputs,
} from "../../attention/cases.ts";
import { attentionBackwardBounds, attentionForwardBounds } from "../../attention/tolerance.ts";
import { checkCases, type PropertyOptions } from "../../check_cases.ts";
import type { HalfRounding } from "../../half_rounding.ts";
import { onGpu } from "../../on_gpu.ts";
import type { Report, Tally } from "../../report.ts";

/** The shapes that matter most, in every run. The first two break most broken kernels. */
const examples: readonly AttentionDescription[] = [
  // Two tiles and one block and a row; two batches, two key heads, groups of two; 9 vec4f columns
  // on 8 lanes.
  { batch: 2, keyHeads: 2, group: 2, length: 69, headDim: 36, seed: 11 },
  // The same with V-scale and a scale that is neither 1 nor the default.
  {
    batch: 2,
    keyHeads: 2,
    group: 2,
    length: 69,
    headDim: 36,
    seed: 12,
    scale: -0.4,
    vScale: { mode: "full" as const, size: "usual" as const },
  },
  {
    batch: 2,
    keyHeads: 3,
    group: 1,
    length: 33,
    headDim: 12,
    seed: 13,
    vScale: { mode: "backward-only" as const, size: "usual" as const },
  },
  { headDim: 256, length: 65, group: 8, seed: 14 },
  { headDim: 128, length: 34, group: 4, seed: 15, pattern: "sink" as const },
  // A learned sink, alone, with V-scale, and in a loss that depends on logSumExp.
  {
    batch: 2,
    keyHeads: 2,
    group: 2,
    length: 69,
    headDim: 12,
    seed: 19,
    sink: { size: "usual" as const, logSumExpGradient: true },
  },
  {
    keyHeads: 2,
    length: 69,
    headDim: 12,
    seed: 20,
    vScale: { mode: "full" as const, size: "usual" as const },
    sink: { size: "usual" as const, logSumExpGradient: false },
  },
  // One row: the output is the value itself, and the query's gradient zero.
  { batch: 2, keyHeads: 2, length: 1, headDim: 4, seed: 16 },
  { length: 97, headDim: 8, seed: 17, pattern: "hundreds" as const },
  { length: 64, headDim: 64, seed: 18, pattern: "sharp" as const },
].map(describeAttention);

/**
 * attentionForward's output and logSumExp are within the bounds of the error analysis of the
 * twin's.
 */
export function attentionForwardMatchesTwin(
  gpu: Gpu,
  options: PropertyOptions<AttentionDescription> = {},
): Promise<Report> {
  return checkCases(gpu, {
    name: "attentionForward vs twin",
    arbitrary: attentionDescription,
    examples,
    seed: 701,
    runs: 34,
    check: (description, tally) =>
      checkForwardAgainstTwin(gpu, drawAttention(description), { tally }),
  }, options);
}

/** How to compare one case with the twin. */
export interface TwinComparison {
  readonly tally: Tally;
  /** What the kernel rounds to f16. Default: nothing. */
  readonly rounding?: HalfRounding;
  /** The operator's kernel. Default: the one that it chooses. */
  readonly variant?: string | undefined;
}

/** Compares attentionForward with the twin, within the bounds of the error analysis. */
export async function checkForwardAgainstTwin(
  gpu: Gpu,
  drawn: AttentionCase,
  { tally, rounding, variant }: TwinComparison,
): Promise<void> {
  const actual = await onGpu<AttentionForwardOptions, AttentionForwardResult>(
    gpu,
    attentionForward,
    { ...drawn, variant },
  );
  const expected = reference.attentionForward(twinInputs(drawn));
  const bounds = attentionForwardBounds(drawn, rounding);
  for (const name of ["output", "logSumExp"] as const) {
    tally.within(`attentionForward's ${name}`, {
      actual: actual[name].data,
      expected: expected[name].data,
      bound: bounds[name],
    });
  }
}

/**
 * attentionBackward's gradients are within the bounds of the error analysis of the twin's, given
 * the same forward.
 */
export function attentionBackwardMatchesTwin(
  gpu: Gpu,
  options: PropertyOptions<AttentionDescription> = {},
): Promise<Report> {
  return checkCases(gpu, {
    name: "attentionBackward vs twin",
    arbitrary: attentionDescription,
    examples,
    seed: 702,
    runs: 34,
    check: (description, tally) =>
      checkBackwardAgainstTwin(gpu, drawAttention(description), { tally }),
  }, options);
}

/**
 * Compares attentionBackward with the twin, within the bounds of the error analysis, given the
 * twin's forward.
 */
export async function checkBackwardAgainstTwin(
  gpu: Gpu,
  drawn: AttentionCase,
  { tally, rounding, variant }: TwinComparison,
): Promise<void> {
  const forward = forwardResults(drawn);
  const actual = await onGpu<AttentionBackwardOptions, AttentionBackwardResult>(
    gpu,
    attentionBackward,
    { ...drawn, ...forward, variant },
  );
  const expected = reference.attentionBackward({
    ...twinInputs(drawn),
    output: toTwin(forward.output),
    logSumExp: toTwin(forward.logSumExp),
  });
  const bounds = attentionBackwardBounds(drawn, forward, rounding);
  const names = ["queryGradient", "keyGradient", "valueGradient"] as const;
  for (const name of names) {
    tally.within(`attentionBackward's ${name}`, {
      actual: actual[name].data,
      expected: expected[name].data,
      bound: bounds[name],
    });
  }
  const optional = { constantGradient: drawn.vScale, sinkLogitGradient: drawn.sinkLogit };
  for (const name of ["constantGradient", "sinkLogitGradient"] as const) {
    if (optional[name] !== undefined) {
      tally.within(`attentionBackward's ${name}`, {
        actual: actual[name]?.data ?? [],
        expected: expected[name]?.data ?? [],
        bound: bounds[name],
      });
    } else if (actual[name] !== undefined) {
      throw new Error(`attentionBackward returned a ${name} that nobody asked for`);
    }
  }
}

/**
 * What max |a − b| / max |b| may be at most, where it is promised. Not where every row attends to
 * one key alone: there all of ∂L/∂z is a difference of nearly equal numbers, and has no size of its
 * own to measure an error by.
 */
const promised: Partial<Record<AttentionPattern, number>> = {
  normal: 1e-5,
  sharp: 2e-4,
  hundreds: 2e-4,
};

/**
 * Forward and then backward on the GPU, against float64 from the inputs on: max |a − b| / max |b|
 * is at most 1e-5 for ordinary data, 2e-4 where logits reach hundreds. For the gradients of queries
 * and keys max |b| is a hundredth of the value gradient's at least.
 */
export function attentionKeepsItsPromise(
  gpu: Gpu,
  options: PropertyOptions<AttentionDescription> = {},
): Promise<Report> {
  return checkCases(gpu, {
    name: "attention end to end",
    arbitrary: attentionDescription.filter((drawn) =>
      promised[drawn.pattern] !== undefined && drawn.length > 1 && drawn.scale !== 0 &&
      // Drawn scales would take them to thousands.
      (drawn.pattern !== "hundreds" || drawn.scale === undefined)
    ),
    examples: [
      describeAttention({ length: 69, headDim: 64, group: 4, keyHeads: 2, seed: 21 }),
      describeAttention({ length: 65, headDim: 128, group: 2, seed: 22, pattern: "hundreds" }),
    ],
    seed: 703,
    runs: 10,
    check: (description, tally) => checkEndToEnd(gpu, description, tally),
  }, options);
}

async function checkEndToEnd(
  gpu: Gpu,
  description: AttentionDescription,
  tally: Tally,
): Promise<void> {
  const drawn = drawAttention(description);
  const limit = promised[description.pattern] ?? 0;
  const inputs = twinInputs(drawn);
  const forward = await onGpu<AttentionForwardOptions, AttentionForwardResult>(
    gpu,
    attentionForward,
    drawn,
  );
  const actual = await onGpu<AttentionBackwardOptions, AttentionBackwardResult>(
    gpu,
    attentionBackward,
    { ...drawn, ...forward },
  );
  const expectedForward = reference.attentionForward(inputs);
  const expected = reference.attentionBackward({ ...inputs, ...expectedForward });
  const pairs = [
    ["output", forward.output, expectedForward.output],
    ["logSumExp", forward.logSumExp, expectedForward.logSumExp],
    ["queryGradient", actual.queryGradient, expected.queryGradient],
    ["keyGradient", actual.keyGradient, expected.keyGradient],
    ["valueGradient", actual.valueGradient, expected.valueGradient],
  ] as const;
  // Saturated softmaxes leave nothing of the queries' and keys' but the rounding of ⟨g, v⟩ − D.
  const least = 0.01 * expected.valueGradient.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  for (const [name, { data }, wanted] of pairs) {
    const floor = name === "queryGradient" || name === "keyGradient" ? least : 0;
    tally.normwise(name, { actual: data, expected: wanted.data, limit, least: floor });
  }
}
