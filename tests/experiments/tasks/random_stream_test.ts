import { RandomStream } from "../../../src/experiments/tasks/random_stream.ts";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "../../support/assert/assert.ts";

Deno.test("RandomStream gives different numbers at every place, also at neighboring ones", () => {
  const places = [[0], [1], [0, 0], [0, 1], [1, 0], [0, 0, 0], [2 ** 32], [2 ** 33], [3, 7], [
    7,
    3,
  ]];
  const seen = new Set(places.map((place) => {
    const stream = new RandomStream(place);
    return [stream.bits(), stream.bits(), stream.bits()].join();
  }));
  assertEquals(seen.size, places.length);
  // Streams of neighboring steps (the second number) must be independent. If so, about half of the
  // bits of their first outputs agree.
  let agreeing = 0;
  const pairs = 4000;
  for (let seed = 0; seed < pairs; seed++) {
    const difference = new RandomStream([seed, 5]).bits() ^ new RandomStream([seed, 6]).bits();
    for (let bit = 0; bit < 32; bit++) agreeing += 1 - (difference >>> bit & 1);
  }
  const bits = 32 * pairs;
  assert(Math.abs(agreeing - bits / 2) < 5 * Math.sqrt(bits) / 2, `${agreeing} of ${bits}`);
});

Deno.test("RandomStream draws integers, uniform and normal numbers with the right moments", () => {
  const stream = new RandomStream([11]);
  const n = 60_000;
  const counts = new Float64Array(7);
  for (let i = 0; i < n; i++) counts[stream.integer(7)]! += 1;
  const statistic = counts.reduce((total, count) => total + (count - n / 7) ** 2 / (n / 7), 0);
  assert(statistic < 30, `${statistic}`); // chi-squared with 6 degrees exceeds 30 once in 25,000
  const moments = (draw: () => number) => {
    let [first, second, fourth] = [0, 0, 0];
    for (let i = 0; i < n; i++) {
      const x = draw();
      first += x / n;
      second += x * x / n;
      fourth += x ** 4 / n;
    }
    return [first, second, fourth];
  };
  // Five standard errors of each moment.
  const near = (found: number, wanted: number, deviation: number) =>
    assert(Math.abs(found - wanted) < 5 * deviation / Math.sqrt(n), `${found} against ${wanted}`);
  const normal = moments(() => stream.normal());
  near(normal[0]!, 0, 1);
  near(normal[1]!, 1, Math.sqrt(2));
  near(normal[2]!, 3, Math.sqrt(96));
  const uniform = moments(() => stream.uniform());
  near(uniform[0]!, 1 / 2, Math.sqrt(1 / 12));
  near(uniform[1]!, 1 / 3, Math.sqrt(4 / 45));
});

Deno.test("RandomStream.permutation() holds every number once, equally often at each place", () => {
  const places = new Float64Array(5);
  for (let seed = 0; seed < 3000; seed++) {
    const order = new RandomStream([seed]).permutation(5);
    assertEquals([...order].sort(), [0, 1, 2, 3, 4]);
    places[order.indexOf(0)]! += 1;
  }
  const statistic = places.reduce((total, count) => total + (count - 600) ** 2 / 600, 0);
  assert(statistic < 25, `${statistic}`); // chi-squared with 4 degrees exceeds 25 once in 20,000
  assertNotEquals(new RandomStream([1]).permutation(50), new RandomStream([2]).permutation(50));
});

Deno.test("RandomStream refuses invalid places", () => {
  for (const wrong of [-1, 0.5, NaN, 2 ** 53]) {
    assertThrows(() => new RandomStream([wrong]), RangeError, String(wrong));
  }
});
