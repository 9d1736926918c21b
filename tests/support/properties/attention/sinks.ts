/**
 * Learned sinks in attention on the GPU agree with the twin and obey the identities S1, S3, S4 and
 * the limits S5; NaN stays in its head.
 */
import {
  type AttentionCase,
  type AttentionDescription,
  attentionDescription,
  BACKWARD_ONLY,
  describeEach,
  drawAttention,
  FULL,
  SINK,
  SINK_IN_LOSS,
} from "../../attention/cases.ts";
import { attentionBackwardBounds, attentionForwardBounds } from "../../attention/tolerance.ts";
import { type Cases, propertyOf } from "../../check_cases.ts";
import type { Numbers } from "../../on_gpu.ts";
import { exponential, U } from "../../tolerance.ts";
import { inner, norm } from "../../vectors.ts";
import { assert } from "../../assert/assert.ts";
import { checkBackwardAgainstTwin, checkForwardAgainstTwin } from "./twin.ts";
import { type BothPasses, forwardAndBackward } from "./passes.ts";

/**
 * The first case has groups, two batch entries, and two tiles and part of a third. The second and
 * the third case have V-scale, one in each mode. The third's sink is "weak" and takes hardly any
 * weight; the fourth's is "strong" and takes all. In the last case each head has 270 rows in the
 * batch. If a head has more than 256 rows, a separate kernel computes the rows' statistics.
 */
export const sinkExamples = describeEach([
  { batch: 2, keyHeads: 2, group: 2, length: 69, seed: 19, sink: SINK_IN_LOSS },
  { keyHeads: 2, length: 37, seed: 20, vScale: FULL, sink: SINK },
  { length: 33, seed: 21, vScale: BACKWARD_ONLY, sink: { ...SINK_IN_LOSS, size: "weak" } },
  { length: 5, seed: 22, sink: { ...SINK_IN_LOSS, size: "strong" } },
  { length: 1, seed: 23, sink: SINK_IN_LOSS },
  { batch: 3, group: 2, length: 90, seed: 24, sink: SINK_IN_LOSS },
], { headDim: 12 });

const withSinks = attentionDescription.map((description): AttentionDescription => ({
  ...description,
  headDim: 12,
  sink: SINK_IN_LOSS,
})).filter(({ batch, keyHeads, group, length }) => batch * keyHeads * group * length <= 400);

function sinkProperty(
  cases: Pick<Cases<AttentionDescription>, "name" | "seed" | "check">,
): ReturnType<typeof propertyOf<AttentionDescription>> {
  return propertyOf({ ...cases, arbitrary: withSinks, examples: sinkExamples, runs: 0 });
}

/** Maps query heads to key heads, both numbered through the batch, and to learned sinks. */
function headsOf({ query, key }: AttentionCase): {
  readonly heads: number;
  readonly length: number;
  readonly headDim: number;
  keyHead(head: number): number;
  sinkOf(head: number): number;
} {
  const [batch, queryHeads, length, headDim] = query.shape as [number, number, number, number];
  const keyHeads = key.shape[1]!;
  return {
    heads: batch * queryHeads,
    length,
    headDim,
    keyHead: (head) =>
      Math.floor(head / queryHeads) * keyHeads +
      Math.floor((head % queryHeads) / (queryHeads / keyHeads)),
    sinkOf: (head) => head % queryHeads,
  };
}

function rowOf({ data }: Numbers, row: number, headDim: number): Float32Array {
  return data.subarray(row * headDim, (row + 1) * headDim);
}

export const attentionWithSinksMatchesTwin = sinkProperty({
  name: "attention with sinks vs twin",
  seed: 781,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    await checkForwardAgainstTwin(gpu, drawn, { tally });
    await checkBackwardAgainstTwin(gpu, drawn, { tally });
  },
});

/**
 * Identities S1, S3 and S4 hold for the GPU's own numbers. S1: with values of 1 the output is 1 −
 * b_t, where b_t is the weight of the sink. S3: with one key for all positions, queryGradient is
 * that key times scale times the sum of a row of ∂L/∂z. S4: the first query's gradient has a closed
 * form.
 *
 * The tolerances add the error bounds of the GPU's results on both sides of an identity, and the
 * error bound of exp in b_t.
 */
export const sinksObeyTheirIdentities = sinkProperty({
  name: "identities of learned sinks",
  seed: 782,
  async check(description, tally, gpu) {
    const drawn = { ...drawAttention(description), vScale: undefined };
    const { length, headDim, heads, keyHead, sinkOf } = headsOf(drawn);
    const scale = drawn.scale ?? 1 / Math.sqrt(headDim);
    drawn.value.data.fill(1);
    const ofOnes = await forwardAndBackward(gpu, drawn);
    const errors = attentionForwardBounds(drawn);
    const b = ofOnes.logSumExp.data.map((L, row) =>
      Math.exp(drawn.sinkLogit!.data[sinkOf(Math.floor(row / length))]! - L)
    );
    tally.within("S1, rows of weights", {
      actual: Float32Array.from(b, (_, row) => ofOnes.output.data[row * headDim]!),
      expected: Float64Array.from(b, (x) => 1 - x),
      bound: Float64Array.from(b, (x, row) => {
        const off = exponential(Math.log(x)) + errors.logSumExp[row]!;
        return errors.output[row * headDim]! + x * Math.expm1(off) + U;
      }),
    });

    const other = { ...drawAttention({ ...description, vScale: undefined }) };
    const first = rowOf(other.key, 0, headDim).slice();
    for (let row = 0; row < other.key.data.length / headDim; row++) {
      other.key.data.set(first, row * headDim);
    }
    const numbers = await forwardAndBackward(gpu, other);
    const forwardErrors = attentionForwardBounds(other);
    const bounds = attentionBackwardBounds(other, { ...numbers, errors: forwardErrors });
    const wanted = new Float64Array(numbers.queryGradient.data.length);
    const bound = new Float64Array(wanted.length);
    for (let row = 0; row < heads * length; row++) {
      const L = numbers.logSumExp.data[row]!;
      const share = Math.exp(other.sinkLogit!.data[sinkOf(Math.floor(row / length))]! - L);
      const g = rowOf(other.outputGradient, row, headDim);
      const D = inner(g, rowOf(numbers.output, row, headDim));
      const l = other.logSumExpGradient?.data[row] ?? 0;
      for (let i = 0; i < headDim; i++) {
        const at = row * headDim + i;
        wanted[at] = scale * (share * D + (1 - share) * l) * first[i]!;
        // The expected number has two errors: that of the sink's weight, and that of the output,
        // which enters through D = ⟨g, y⟩.
        const ofShare = share * (Math.expm1(2 * forwardErrors.logSumExp[row]! + 8 * U));
        let ofD = 0;
        g.forEach((x, j) => ofD += Math.abs(x) * forwardErrors.output[row * headDim + j]!);
        bound[at] = bounds.queryGradient[at]! +
          Math.abs(scale * first[i]!) *
            (ofShare * (Math.abs(D) + Math.abs(l)) + share * ofD + 4 * U * Math.abs(D) +
              1e-12);
      }
    }
    tally.within("S3, rows of ∂L/∂z", {
      actual: numbers.queryGradient.data,
      expected: wanted,
      bound,
    });

    const drawnAgain = drawAttention({ ...description, vScale: undefined });
    const usual = await forwardAndBackward(gpu, drawnAgain);
    const usualErrors = attentionForwardBounds(drawnAgain);
    const usualBounds = attentionBackwardBounds(drawnAgain, { ...usual, errors: usualErrors });
    const actual: number[] = [], expected: number[] = [], allowed: number[] = [];
    for (let head = 0; head < heads; head++) {
      const row = head * length, keyRow = keyHead(head) * length;
      const q = rowOf(drawnAgain.query, row, headDim), k = rowOf(drawnAgain.key, keyRow, headDim);
      const g = rowOf(drawnAgain.outputGradient, row, headDim);
      const v = rowOf(drawnAgain.value, keyRow, headDim);
      const sink = drawnAgain.sinkLogit!.data[sinkOf(head)]!;
      const a = 1 / (1 + Math.exp(sink - scale * inner(q, k)));
      const l = drawnAgain.logSumExpGradient?.data[row] ?? 0;
      const slope = a * ((1 - a) * inner(g, v) + l);
      for (let i = 0; i < headDim; i++) {
        actual.push(usual.queryGradient.data[row * headDim + i]!);
        expected.push(scale * slope * k[i]!);
        allowed.push(usualBounds.queryGradient[row * headDim + i]! + 1e-12 * norm(k));
      }
    }
    tally.within("S4, the first query", {
      actual: Float32Array.from(actual),
      expected: Float64Array.from(expected),
      bound: Float64Array.from(allowed),
    });
  },
});

/**
 * Limits S5: sinks of −Infinity and −3e38 do not change the forward's bits, and change gradients
 * only by rounding. Sinks near 3e38 take all weight: logSumExp is the sink, and the output and the
 * gradients of query, key and value are 0.
 */
export const sinksHaveLimits = sinkProperty({
  name: "limits of learned sinks",
  seed: 783,
  async check(description, tally, gpu) {
    const usual = drawAttention(description);
    const { sinkLogit, ...plain } = usual;
    const run = (sink: (head: number) => number) =>
      forwardAndBackward(gpu, {
        ...usual,
        sinkLogit: { ...sinkLogit!, data: sinkLogit!.data.map((_, head) => sink(head)) },
      });
    const without = await forwardAndBackward(gpu, plain);
    const bounds = attentionBackwardBounds(plain, without);
    for (const sink of [-Infinity, -3e38]) {
      const weak = await run(() => sink);
      for (const name of ["output", "logSumExp"] as const) {
        tally.sameBits(`${name} with a sink of ${sink}`, {
          actual: weak[name].data,
          expected: without[name].data,
        });
      }
      for (const name of ["queryGradient", "keyGradient", "valueGradient"] as const) {
        tally.within(`${name} with a sink of ${sink}`, {
          actual: weak[name].data,
          expected: without[name].data,
          bound: bounds[name].map((bound) => 2 * bound),
        });
      }
      assert(weak.sinkLogitGradient!.data.every((x) => x === 0), `a sink of ${sink} has a slope`);
    }
    const strongest = (head: number) => Math.fround(3e38 - 1e37 * head);
    const strong = await run(strongest);
    for (const name of ["output", "queryGradient", "keyGradient", "valueGradient"] as const) {
      assert(strong[name].data.every((x) => x === 0), `${name} with a sink about 3e38 is not 0`);
    }
    const [batch, queryHeads, length] = usual.query.shape as [number, number, number];
    assert(
      strong.logSumExp.data.every((x, row) =>
        x === strongest(Math.floor(row / length) % queryHeads)
      ),
      "logSumExp is not the sink",
    );
    const slope = new Float64Array(queryHeads), magnitude = new Float64Array(queryHeads);
    usual.logSumExpGradient?.data.forEach((l, row) => {
      slope[Math.floor(row / length) % queryHeads]! += l;
      magnitude[Math.floor(row / length) % queryHeads]! += Math.abs(l);
    });
    tally.within("sinkLogitGradient with a sink of 3e38", {
      actual: strong.sinkLogitGradient!.data,
      expected: slope,
      bound: magnitude.map((sum) => (Math.ceil(length / 64) * batch + 70) * U * sum),
    });
  },
});

/**
 * NaN or +Infinity in one head's sink turns that head's results and its keys' gradients into NaN.
 * Other heads keep their bits.
 */
export const sinksStayInTheirHeads = sinkProperty({
  name: "NaN in a learned sink",
  seed: 784,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    const { heads, keyHead, sinkOf } = headsOf(drawn);
    const clean = await forwardAndBackward(gpu, drawn);
    for (const bad of [NaN, Infinity]) {
      const data = drawn.sinkLogit!.data.slice();
      data[data.length - 1] = bad;
      const isLost = (head: number) => sinkOf(head) === data.length - 1;
      const lostKeys = new Set(
        Array.from({ length: heads }, (_, head) => head).filter(isLost).map(keyHead),
      );
      const dirty = await forwardAndBackward(gpu, {
        ...drawn,
        sinkLogit: { ...drawn.sinkLogit!, data },
      });
      for (
        const [name, { data, shape }] of Object.entries(dirty) as [keyof BothPasses, Numbers][]
      ) {
        const ofKeys = ["keyGradient", "valueGradient", "constantGradient"].includes(name);
        const blocks = shape.length === 1 ? shape[0]! : shape[0]! * shape[1]!;
        const size = data.length / blocks;
        data.forEach((x, i) => {
          const block = Math.floor(i / size);
          const lost = shape.length === 1 && ofKeys
            ? [...lostKeys].some((key) => key % blocks === block)
            : ofKeys
            ? lostKeys.has(block)
            : isLost(block);
          const right = lost ? Number.isNaN(x) : Object.is(x, clean[name]!.data[i]);
          assert(right, `${bad} in the last sink: ${name}[${i}] is ${x}`);
        });
      }
      tally.count(clean.output.data.length);
    }
  },
});
