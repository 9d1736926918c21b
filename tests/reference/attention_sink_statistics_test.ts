import fc from "fast-check";
import * as reference from "../../src/reference/mod.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { distance } from "../support/vectors.ts";
import { attentionDescription, checkProperty, drawAttention, largestLogit } from "./cases.ts";

const { attentionForward, attentionSinkStatistics, attentionWeights, tensor } = reference;

Deno.test("attentionSinkStatistics() gives the values of a case worked by hand", () => {
  // Row 1 has weights 1/4, 3/4. Row 2, whose key is 0 again, has 1/5, 3/5, 1/5.
  const query = tensor([1, 1, 1], [1, 1, 3, 1]);
  const key = tensor([0, Math.log(3), 0], [1, 1, 3, 1]);
  const { logSumExp } = attentionForward({ query, key, value: key });
  const near = (options: { position?: number; window?: number }, wanted: number[]) => {
    const { mass, secondMoment, score } = attentionSinkStatistics({
      query,
      key,
      logSumExp,
      ...options,
    });
    [mass, secondMoment, score].forEach((statistic, i) => {
      assertEquals(statistic.shape, [1, 1]);
      assert(Math.abs(statistic.data[0]! - wanted[i]!) < 1e-15, `${statistic.data}, ${wanted}`);
    });
  };
  near({}, [29 / 20, 1 + 1 / 16 + 1 / 25, 29 / 60]);
  near({ window: 2 }, [29 / 20, 1 + 1 / 16 + 1 / 25, 5 / 8]);
  near({ position: 1 }, [27 / 20, 9 / 16 + 9 / 25, 27 / 40]);
  near({ position: 2, window: 1 }, [1 / 5, 1 / 25, 1 / 5]);
});

Deno.test("attentionSinkStatistics() agrees with the columns of attentionWeights()", () => {
  const description = fc.record({
    attention: attentionDescription,
    place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    window: fc.constantFrom(undefined, 1, 2, 5, 1000),
  });
  checkProperty(description, {
    seed: 401,
    runs: 300,
    check({ attention, place, window }, tolerances) {
      const drawn = drawAttention(attention);
      const { length, headDim } = attention;
      const position = Math.floor(place * length);
      const { logSumExp } = attentionForward(drawn);
      const statistics = attentionSinkStatistics({
        query: drawn.query,
        key: drawn.key,
        logSumExp,
        position,
        scale: drawn.scale,
        window,
      });
      const weights = attentionWeights(drawn).data;
      const tolerance = 2 ** -53 * length * (headDim * (largestLogit(drawn) + 4) + 50);
      for (let head = 0; head < statistics.mass.data.length; head++) {
        const column = Array.from(
          { length: length - position },
          (_, i) => weights[(head * length + position + i) * length + position]!,
        );
        const sum = (values: number[]) => values.reduce((total, a) => total + a, 0);
        const first = column.slice(0, window ?? 64);
        const wanted = {
          mass: sum(column),
          secondMoment: sum(column.map((a) => a * a)),
          score: sum(first) / first.length,
        };
        for (const name of ["mass", "secondMoment", "score"] as const) {
          const error = Math.abs(statistics[name].data[head]! - wanted[name]);
          tolerances.within(error, { tolerance, what: name });
        }
      }
    },
  });
});

Deno.test("attentionSinkStatistics() has a default window of 64 rows", () => {
  const length = 80;
  const query = reference.zeros([1, 1, length, 1]);
  const { logSumExp } = attentionForward({ query, key: query, value: query });
  // All logits are 0, so a_t0 = 1/(t + 1), and the statistics are harmonic sums.
  const { mass, score } = attentionSinkStatistics({ query, key: query, logSumExp });
  const harmonic = (n: number) =>
    Array.from({ length: n }, (_, t) => 1 / (t + 1)).reduce((a, b) => a + b);
  assert(Math.abs(mass.data[0]! - harmonic(80)) < 1e-13);
  assert(Math.abs(score.data[0]! - harmonic(64) / 64) < 1e-14);
});

Deno.test("attentionSinkStatistics() keeps NaN in its head", () => {
  const query = reference.zeros([1, 2, 3, 1]);
  const key = tensor([0, 0, NaN, 0, 0, 0], [1, 2, 3, 1]);
  const { logSumExp } = attentionForward({ query, key, value: query });
  const { mass, score } = attentionSinkStatistics({ query, key, logSumExp, window: 2 });
  assert(Number.isNaN(mass.data[0]));
  assertEquals(score.data[0], 3 / 4); // rows 0 and 1 do not attend to the bad key
  assert(Math.abs(mass.data[1]! - 11 / 6) < 1e-15);
});

Deno.test("attentionSinkStatistics() gives the values of a case with a sink worked by hand", () => {
  // Each query sees exp(logit) = 1 for the first key and 3 for the second. The sink adds 2 in head
  // 0 and 1 in head 1. So the first key's weights in rows 0 and 1 are 1/3 and 1/6 in head 0, 1/2
  // and 1/5 in head 1.
  const query = tensor([1, 1, 1, 1], [1, 2, 2, 1]);
  const key = tensor([0, Math.log(3)], [1, 1, 2, 1]);
  const sinkLogit = tensor([Math.log(2), 0], [2]);
  const { logSumExp } = attentionForward({ query, key, value: key, sinkLogit });
  const { sinkShare, mass, secondMoment, score } = attentionSinkStatistics({
    query,
    key,
    logSumExp,
    sinkLogit,
  });
  const near = (actual: Float64Array, wanted: number[]) =>
    assert(distance(actual, wanted) < 1e-15, `${actual} is not ${wanted}`);
  near(sinkShare!.data, [(2 / 3 + 1 / 3) / 2, (1 / 2 + 1 / 5) / 2]);
  near(mass.data, [1 / 2, 7 / 10]);
  near(secondMoment.data, [1 / 9 + 1 / 36, 1 / 4 + 1 / 25]);
  near(score.data, [1 / 4, 7 / 20]);
  const without = attentionSinkStatistics({ query, key, logSumExp });
  assertEquals(without.sinkShare, undefined);
});
