/** attentionSinkStatistics on the GPU: agreement with the twin, its laws, its bits. */
import fc from "fast-check";
import { attentionSinkStatistics, planAttentionSinkStatistics } from "../../../mod.ts";
import * as reference from "../../../src/reference/mod.ts";
import { assert } from "../assert/assert.ts";
import {
  type AttentionDescription,
  attentionDescription,
  describeAttention,
  drawAttention,
  forwardResults,
  SINK,
  toTwin,
  twinInputs,
} from "../attention/cases.ts";
import { sinkStatisticsBounds } from "../attention/tolerance.ts";
import { propertyOf } from "../check_cases.ts";
import { onGpu, onGpuPlanned } from "../on_gpu.ts";
import { U } from "../tolerance.ts";

export interface SinkDescription {
  readonly attention: AttentionDescription;
  /** Taken modulo T. */
  readonly position: number | undefined;
  readonly window: number | undefined;
}

const grouped = { batch: 2, keyHeads: 2, group: 2 };

const description: fc.Arbitrary<SinkDescription> = fc.record({
  attention: attentionDescription.filter(({ length, headDim }) => length * headDim <= 4000),
  position: fc.option(fc.integer({ min: 0, max: 99 }), { nil: undefined }),
  window: fc.option(fc.constantFrom(1, 2, 7, 64, 1000), { nil: undefined }),
});

const examples: readonly SinkDescription[] = [
  // Here the default window of 64 queries is shorter than the sequence.
  {
    attention: describeAttention({
      ...grouped,
      length: 150,
      headDim: 12,
      seed: 101,
      pattern: "sink",
    }),
    position: undefined,
    window: undefined,
  },
  {
    attention: describeAttention({ ...grouped, keyHeads: 3, length: 97, seed: 102 }),
    position: 5,
    window: 3,
  },
  {
    attention: describeAttention({ length: 80, seed: 103, scale: 0.9 }),
    position: 70,
    window: 64,
  },
  {
    attention: describeAttention({ ...grouped, length: 70, seed: 105, sink: SINK }),
    position: 5,
    window: 3,
  },
];

/**
 * Mass, second moment, score and sinkShare agree with the twin's within their error bounds. Each
 * run of a plan gives the same bits, and overwrites outputs full of NaN.
 */
export const sinkStatisticsMatchTwin = propertyOf({
  name: "attentionSinkStatistics vs twin",
  arbitrary: description,
  examples,
  seed: 771,
  runs: 25,
  async check({ attention, position, window }, tally, gpu) {
    const drawn = drawAttention(attention);
    const { query, key, scale, sinkLogit } = drawn;
    const { logSumExp } = forwardResults(drawn);
    const at = position === undefined ? undefined : position % attention.length;
    const args = { query, key, logSumExp, position: at, window, scale, sinkLogit };
    const actual = await onGpu(gpu, attentionSinkStatistics, args);
    const expected = reference.attentionSinkStatistics({
      ...twinInputs(drawn),
      logSumExp: toTwin(logSumExp),
      position: at,
      window,
    });
    const within = { logSumExp, position: at ?? 0, window: window ?? 64 };
    const bounds = sinkStatisticsBounds(drawn, within);
    const ofSinks = sinkLogit === undefined ? [] : ["sinkShare"] as const;
    const names = ["mass", "secondMoment", "score", ...ofSinks] as const;
    assert((actual.sinkShare === undefined) === (sinkLogit === undefined), "sinkShare");
    for (const name of names) {
      tally.within(`attentionSinkStatistics' ${name}`, {
        actual: actual[name]!.data,
        expected: expected[name]!.data,
        bound: bounds[name],
      });
    }
    for (const run of await onGpuPlanned(gpu, planAttentionSinkStatistics, { args, runs: 2 })) {
      for (const name of names) {
        const pair = { actual: run[name]!.data, expected: actual[name]!.data };
        tally.sameBits(`a plan's ${name}`, pair);
      }
    }
  },
});

/**
 * The masses of all positions and T times sinkShare add up to T, because every row's weights, with
 * the sink's, add up to 1. With a window of one row, the score is the position's weight on itself.
 * At the last position, the second moment is the score's square. The second moment lies between 0
 * and the mass. A NaN in query row t spoils only its own head, and only positions up to t.
 */
export const sinkStatisticsObeyTheirLaws = propertyOf({
  name: "attentionSinkStatistics' laws",
  arbitrary: description.filter(({ attention }) => attention.length <= 20),
  examples: [{
    attention: describeAttention({ batch: 2, keyHeads: 2, group: 2, length: 17, seed: 104 }),
    position: 3,
    window: 2,
  }],
  seed: 772,
  runs: 3,
  async check({ attention: drawnFrom }, tally, gpu) {
    const attention = { ...drawnFrom, pattern: "normal" as const, scale: undefined };
    const { length } = attention;
    const drawn = drawAttention(attention);
    const { query, key, sinkLogit } = drawn;
    const { logSumExp } = forwardResults(drawn);
    const heads = attention.batch * attention.keyHeads * attention.group;
    const total = new Float64Array(heads), allowed = new Float64Array(heads);
    for (let position = 0; position < length; position++) {
      const args = { query, key, logSumExp, position, window: 1, sinkLogit };
      const statistics = await onGpu(gpu, attentionSinkStatistics, args);
      const bounds = sinkStatisticsBounds(drawn, { logSumExp, position, window: 1 });
      for (let head = 0; head < heads; head++) {
        const mass = statistics.mass.data[head]!, score = statistics.score.data[head]!;
        const secondMoment = statistics.secondMoment.data[head]!;
        const share = statistics.sinkShare?.data[head] ?? 0; // each call returns the mean over rows
        total[head]! += mass + share;
        // logSumExp is rounded, so each row adds up to 1 only within that rounding.
        allowed[head]! += bounds.mass[head]! + bounds.sinkShare[head]! +
          2 * U * (mass + share) * Math.max(...logSumExp.data.map(Math.abs));
        assert(0 <= secondMoment && secondMoment <= mass * (1 + 64 * U), "0 ≤ S_s ≤ M_s");
        assert(score > 0 && score <= mass * (1 + 64 * U), "0 < α_s ≤ M_s");
        if (position === length - 1) {
          tally.within("S_s of the last position", {
            actual: [secondMoment],
            expected: [score ** 2],
            bound: [4 * U * score ** 2],
          });
        }
      }
    }
    const expected = total.map(() => length);
    tally.within("Σ_s M_s", { actual: total, expected, bound: allowed });
    const position = Math.floor(length / 2);
    const width = attention.headDim;
    const clean = await onGpu(gpu, attentionSinkStatistics, { query, key, logSumExp, position });
    for (const t of [position - 1, position]) {
      if (t < 0) continue;
      const data = query.data.slice();
      data[t * width] = NaN; // in the first head
      const spoiled = { query: { data, shape: query.shape }, key, logSumExp, position };
      const dirty = await onGpu(gpu, attentionSinkStatistics, spoiled);
      for (const name of ["mass", "secondMoment"] as const) {
        const expected = clean[name].data.slice();
        if (t >= position) expected[0] = NaN;
        tally.sameBits(`${name} beside a NaN`, { actual: dirty[name].data, expected });
      }
    }
  },
});
