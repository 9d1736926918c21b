/** The precise form of attention's backward: every gradient, and the digits at strong sinks. */
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
  describeAttention,
  drawAttention,
  twinInputs,
} from "../../attention/cases.ts";
import { assert } from "../../assert/assert.ts";
import { checkCases, type PropertyOptions } from "../../check_cases.ts";
import { onGpu, type Results } from "../../on_gpu.ts";
import type { Report } from "../../report.ts";
import { sinkExamples } from "./sinks.ts";

const scaled = (mode: "full" | "backward-only", seed: number) =>
  describeAttention({
    batch: 2,
    keyHeads: 2,
    group: 2,
    length: 37,
    headDim: 12,
    seed,
    vScale: { mode, size: "usual" },
  });

/** Both modes of V-scale, groups, batches, and sinks with all that goes with them. */
export const preciseExamples: readonly AttentionDescription[] = [
  scaled("full", 31),
  scaled("backward-only", 32),
  ...sinkExamples,
];

/** With groups; with V-scale; with a learned sink beside. */
export const strongSinkExamples: readonly AttentionDescription[] = [
  { batch: 2, keyHeads: 2, group: 2, length: 69, headDim: 12, seed: 41 },
  { length: 70, headDim: 12, seed: 42, vScale: { mode: "full" as const, size: "usual" as const } },
  {
    length: 40,
    headDim: 12,
    seed: 43,
    sink: { size: "usual" as const, logSumExpGradient: false },
  },
].map((description) => describeAttention({ ...description, pattern: "strong sink" }));

type Precise = AttentionBackwardOptions["precise"];

async function backward(
  gpu: Gpu,
  drawn: AttentionCase,
  precise: NonNullable<Precise>,
): Promise<Results<AttentionBackwardResult>> {
  const forward = await onGpu<AttentionForwardOptions, AttentionForwardResult>(
    gpu,
    attentionForward,
    drawn,
  );
  return await onGpu<AttentionBackwardOptions, AttentionBackwardResult>(
    gpu,
    (gpu, options) => attentionBackward(gpu, { ...options, precise }),
    { ...drawn, ...forward },
  );
}

function twinBackward(drawn: AttentionCase): reference.AttentionGradients {
  const inputs = twinInputs(drawn);
  return reference.attentionBackward({ ...inputs, ...reference.attentionForward(inputs) });
}

/**
 * The precise form, for the first key, the last one and one between, gives the twin's gradients,
 * forward included: max |a − b| is at most 1e-5 of max |b|, which is what the usual form promises of
 * ordinary data. What a sink far from the logits leaves, or takes, is below 1e-6 and has the digits
 * that exp leaves it: there max |b| is 1e-6 at least.
 */
export function preciseBackwardMatchesTwin(
  gpu: Gpu,
  options: PropertyOptions<AttentionDescription> = {},
): Promise<Report> {
  return checkCases(gpu, {
    name: "attentionBackward in its precise form vs twin",
    arbitrary: attentionDescription,
    examples: preciseExamples,
    seed: 791,
    runs: 0,
    async check(description, tally) {
      const drawn = drawAttention(description);
      const expected = twinBackward(drawn);
      const { length } = description;
      for (const precise of [true, { position: length - 1 }, { position: length >> 1 }]) {
        const actual = await backward(gpu, drawn, precise);
        for (const [name, { data }] of Object.entries(expected)) {
          const numbers = actual[name as keyof typeof actual];
          tally.normwise(name, {
            actual: numbers?.data ?? [],
            expected: data,
            limit: 1e-5,
            least: 1e-6,
          });
        }
      }
    },
  }, options);
}

/**
 * Where every query gives one key all but a millionth of its weight, the gradients of queries and
 * keys keep four digits in the precise form; in the usual one they lose three of them, which is why
 * there is the other.
 */
export function preciseBackwardKeepsFourDigits(
  gpu: Gpu,
  options: PropertyOptions<AttentionDescription> = {},
): Promise<Report> {
  return checkCases(gpu, {
    name: "attentionBackward's digits at strong sinks",
    arbitrary: attentionDescription,
    examples: strongSinkExamples,
    seed: 792,
    runs: 0,
    async check(description, tally) {
      const drawn = drawAttention(description);
      const expected = twinBackward(drawn);
      const inputs = twinInputs(drawn);
      const weights = reference.attentionWeights({ ...inputs, sinkLogit: undefined }).data;
      const { length } = description;
      const last = 1 - weights[(length - 1) * length]!;
      assert(last > 2e-7 && last < 2e-5, `the last query leaves the others ${last}`);
      const precise = await backward(gpu, drawn, true);
      for (const name of ["queryGradient", "keyGradient"] as const) {
        tally.normwise(name, {
          actual: precise[name].data,
          expected: expected[name].data,
          limit: 1e-4,
          least: 0,
        });
      }
      if (description.sink !== undefined || description.vScale !== undefined) return;
      const usual = await backward(gpu, drawn, false);
      const most = (numbers: Iterable<number>) =>
        [...numbers].reduce((sum, x) => Math.max(sum, Math.abs(x)), 0);
      const wanted = expected.queryGradient.data;
      const off = most(usual.queryGradient.data.map((x, i) => x - wanted[i]!)) / most(wanted);
      assert(off > 1e-3, `the usual form is off by ${off} only: the case is too easy`);
    },
  }, options);
}
