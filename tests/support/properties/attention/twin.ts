/**
 * Attention's forward and backward on the GPU agree with the float64 twin on equal float32 inputs.
 */
import { attentionBackward, attentionForward, type Gpu } from "../../../../mod.ts";
import * as reference from "../../../../src/reference/mod.ts";
import {
  type AttentionCase,
  attentionDescription,
  type AttentionPattern,
  BACKWARD_ONLY,
  describeAttention,
  describeEach,
  drawAttention,
  forwardResults,
  FULL,
  SINK,
  SINK_IN_LOSS,
  toTwin,
  twinInputs,
} from "../../attention/cases.ts";
import { attentionBackwardBounds, attentionForwardBounds } from "../../attention/tolerance.ts";
import { type Property, propertyOf } from "../../check_cases.ts";
import type { HalfRounding } from "../../half_rounding.ts";
import { onGpu } from "../../on_gpu.ts";
import type { Tally } from "../../report.ts";
import { forwardAndBackward } from "./passes.ts";
import { absoluteMaximumOf } from "../../model/cases.ts";

const grouped = { batch: 2, keyHeads: 2, group: 2 };

/** The most important shapes, for every run. The first two catch most broken kernels. */
const examples = describeEach([
  // 69 rows are two tiles of 32 rows, a block of 4 rows and a single row. The case has two batch
  // entries, two key heads, and groups of two. D = 36 is 9 vec4f columns for 8 lanes.
  { ...grouped, length: 69, headDim: 36, seed: 11 },
  // The shape of the case above, with V-scale and a scale that is neither 1 nor the default.
  { ...grouped, length: 69, headDim: 36, seed: 12, scale: -0.4, vScale: FULL },
  { batch: 2, keyHeads: 3, group: 1, length: 33, headDim: 12, seed: 13, vScale: BACKWARD_ONLY },
  { headDim: 256, length: 65, group: 8, seed: 14 },
  { headDim: 128, length: 34, group: 4, seed: 15, pattern: "sink" },
  // Two cases with learned sinks. In the first, the loss also depends on logSumExp. The second has
  // V-scale.
  { ...grouped, length: 69, headDim: 12, seed: 19, sink: SINK_IN_LOSS },
  { keyHeads: 2, length: 69, headDim: 12, seed: 20, vScale: FULL, sink: SINK },
  // With one row, the output is the value, and the query's gradient is zero.
  { batch: 2, keyHeads: 2, length: 1, headDim: 4, seed: 16 },
  { length: 97, headDim: 8, seed: 17, pattern: "hundreds" },
  { length: 64, headDim: 64, seed: 18, pattern: "sharp" },
]);

export const attentionForwardMatchesTwin = propertyOf({
  name: "attentionForward vs twin",
  arbitrary: attentionDescription,
  examples,
  seed: 701,
  runs: 34,
  check: (description, tally, gpu) =>
    checkForwardAgainstTwin(gpu, drawAttention(description), { tally }),
});

export interface TwinComparison {
  readonly tally: Tally;
  /** How the kernel rounds to f16. Default: not at all. */
  readonly rounding?: HalfRounding;
  /** The operator's variant. Default: the operator's choice. */
  readonly variant?: string | undefined;
}

export async function checkForwardAgainstTwin(
  gpu: Gpu,
  drawn: AttentionCase,
  { tally, rounding, variant }: TwinComparison,
): Promise<void> {
  const actual = await onGpu(gpu, attentionForward, { ...drawn, variant });
  const expected = reference.attentionForward(twinInputs(drawn));
  const bounds = attentionForwardBounds(drawn, rounding);
  tally.eachWithin("attentionForward's ", ["output", "logSumExp"], { actual, expected, bounds });
}

export const attentionBackwardMatchesTwin = propertyOf({
  name: "attentionBackward vs twin",
  arbitrary: attentionDescription,
  examples,
  seed: 702,
  runs: 34,
  check: (description, tally, gpu) =>
    checkBackwardAgainstTwin(gpu, drawAttention(description), { tally }),
});

/** Compares attentionBackward with the twin. Both get the twin's forward results. */
export async function checkBackwardAgainstTwin(
  gpu: Gpu,
  drawn: AttentionCase,
  { tally, rounding, variant }: TwinComparison,
): Promise<void> {
  const forward = forwardResults(drawn);
  const actual = await onGpu(gpu, attentionBackward, { ...drawn, ...forward, variant });
  const expected = reference.attentionBackward({
    ...twinInputs(drawn),
    output: toTwin(forward.output),
    logSumExp: toTwin(forward.logSumExp),
  });
  const bounds = attentionBackwardBounds(drawn, forward, rounding);
  const names = ["queryGradient", "keyGradient", "valueGradient"] as const;
  tally.eachWithin("attentionBackward's ", names, { actual, expected, bounds });
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
 * The most that max |a − b| / max |b| may be, per pattern, for a result a of the GPU and b of the
 * twin. The other patterns have no promise: with huge logits, for example, every row attends to one
 * key alone, so ∂L/∂z consists of differences of nearly equal numbers, and is mostly rounding
 * error.
 */
const promised: Partial<Record<AttentionPattern, number>> = {
  normal: 1e-5,
  sharp: 2e-4,
  hundreds: 2e-4,
};

/**
 * The forward and then the backward on the GPU agree with float64 from the same inputs. For results
 * a of the GPU and b of the twin, max |a − b| / max |b| is at most 1e-5 for ordinary data, 2e-4 for
 * logits of tens or hundreds. For the gradients of queries and keys, max |b| counts as at least
 * 0.01 max |c|, where c is the twin's gradient of values.
 */
export const attentionKeepsItsPromise = propertyOf({
  name: "attention end to end",
  arbitrary: attentionDescription.filter((drawn) =>
    promised[drawn.pattern] !== undefined && drawn.length > 1 && drawn.scale !== 0 &&
    // With a drawn scale, this pattern's logits would be thousands.
    (drawn.pattern !== "hundreds" || drawn.scale === undefined)
  ),
  examples: [
    describeAttention({ length: 69, headDim: 64, group: 4, keyHeads: 2, seed: 21 }),
    describeAttention({ length: 65, headDim: 128, group: 2, seed: 22, pattern: "hundreds" }),
  ],
  seed: 703,
  runs: 10,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    const limit = promised[description.pattern] ?? 0;
    const inputs = twinInputs(drawn);
    const actual = await forwardAndBackward(gpu, drawn);
    const forward = reference.attentionForward(inputs);
    const expected = { ...forward, ...reference.attentionBackward({ ...inputs, ...forward }) };
    // With a saturated softmax, the gradients of queries and keys are mere rounding errors of ⟨g,
    // v⟩ − ⟨g, y⟩. So the value gradient sets the least size that these errors are compared with.
    const least = 0.01 * absoluteMaximumOf(expected.valueGradient.data);
    const floors = {
      output: 0,
      logSumExp: 0,
      queryGradient: least,
      keyGradient: least,
      valueGradient: 0,
    };
    for (const name of Object.keys(floors) as (keyof typeof floors)[]) {
      const pair = { actual: actual[name].data, expected: expected[name].data };
      tally.normwise(name, { ...pair, limit, least: floors[name] });
    }
  },
});

/** The properties above, by test name. */
export const twinProperties: Readonly<Record<string, Property>> = {
  "attentionForward() agrees with the float64 twin": attentionForwardMatchesTwin,
  "attentionBackward() agrees with the float64 twin": attentionBackwardMatchesTwin,
  "attention keeps its promised accuracy end to end": attentionKeepsItsPromise,
};
