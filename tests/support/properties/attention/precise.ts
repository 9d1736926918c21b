/** With `precise`, attention's backward agrees with the twin, and keeps digits at strong sinks. */
import * as reference from "../../../../src/reference/mod.ts";
import {
  type AttentionCase,
  type AttentionDescription,
  attentionDescription,
  BACKWARD_ONLY,
  describeAttention,
  describeEach,
  drawAttention,
  FULL,
  SINK,
  twinInputs,
} from "../../attention/cases.ts";
import { assert } from "../../assert/assert.ts";
import { propertyOf } from "../../check_cases.ts";
import { sinkExamples } from "./sinks.ts";
import { forwardAndBackward } from "./passes.ts";

const grouped = { batch: 2, keyHeads: 2, group: 2, headDim: 12 };

export const preciseExamples: readonly AttentionDescription[] = [
  describeAttention({ ...grouped, length: 37, seed: 31, vScale: FULL }),
  describeAttention({ ...grouped, length: 37, seed: 32, vScale: BACKWARD_ONLY }),
  ...sinkExamples,
];

export const strongSinkExamples = describeEach([
  { ...grouped, length: 69, seed: 41 },
  { length: 70, seed: 42, vScale: FULL },
  { length: 40, seed: 43, sink: SINK },
], { headDim: 12, pattern: "strong sink" });

function twinBackward(drawn: AttentionCase): reference.AttentionGradients {
  const inputs = twinInputs(drawn);
  return reference.attentionBackward({ ...inputs, ...reference.attentionForward(inputs) });
}

/**
 * Sets `precise` to the first, the last and a middle key. The GPU's gradients a follow from the
 * GPU's forward, the twin's gradients b from the twin's. max |a − b| is at most 1e-5 max |b|.
 * Without `precise`, this is promised for ordinary data only. If a sink far from the logits leaves
 * only gradients below 1e-6, they have fewer digits, so max |b| counts as at least 1e-6.
 */
export const preciseBackwardMatchesTwin = propertyOf({
  name: "attentionBackward in its precise form vs twin",
  arbitrary: attentionDescription,
  examples: preciseExamples,
  seed: 791,
  runs: 0,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    const expected = twinBackward(drawn);
    const { length } = description;
    for (const precise of [true, { position: length - 1 }, { position: length >> 1 }]) {
      const actual = await forwardAndBackward(gpu, drawn, { precise });
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
});

/**
 * If every query gives one key all but about a millionth of its weight, `precise` keeps four digits
 * in the gradients of queries and keys. The case with neither V-scale nor a learned sink also shows
 * that without `precise`, the gradients of queries are off by more than 1e-3 of the largest.
 */
export const preciseBackwardKeepsFourDigits = propertyOf({
  name: "attentionBackward's digits at strong sinks",
  arbitrary: attentionDescription,
  examples: strongSinkExamples,
  seed: 792,
  runs: 0,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    const expected = twinBackward(drawn);
    const inputs = twinInputs(drawn);
    const weights = reference.attentionWeights({ ...inputs, sinkLogit: undefined }).data;
    const { length } = description;
    const last = 1 - weights[(length - 1) * length]!;
    assert(last > 2e-7 && last < 2e-5, `the last query leaves the others ${last}`);
    const precise = await forwardAndBackward(gpu, drawn, { precise: true });
    for (const name of ["queryGradient", "keyGradient"] as const) {
      tally.normwise(name, {
        actual: precise[name].data,
        expected: expected[name].data,
        limit: 1e-4,
        least: 0,
      });
    }
    if (description.sink !== undefined || description.vScale !== undefined) return;
    const usual = await forwardAndBackward(gpu, drawn);
    const most = (numbers: Iterable<number>) =>
      [...numbers].reduce((sum, x) => Math.max(sum, Math.abs(x)), 0);
    const wanted = expected.queryGradient.data;
    const off = most(usual.queryGradient.data.map((x, i) => x - wanted[i]!)) / most(wanted);
    assert(off > 1e-3, `the usual form is off by ${off} only: the case is too easy`);
  },
});
