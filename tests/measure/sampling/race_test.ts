import { beatenCandidates } from "../../../src/measure/sampling/race.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

function beaten(...samples: number[][]): number[] {
  return [...beatenCandidates(samples)];
}

Deno.test("beatenCandidates() drops candidates whose whole interval lies above the best one's", () => {
  // With six samples the interval runs from the least to the greatest.
  const best = [10, 11, 10, 12, 11, 10];
  assertEquals(beaten(best, [13, 13, 14, 13, 15, 13]), [1]);
  assertEquals(beaten([13, 13, 14, 13, 15, 13], best), [0]);
  assertEquals(beaten(best, [12, 13, 14, 13, 15, 13]), []);
  assertEquals(beaten(best, best), []);
});

Deno.test("beatenCandidates() needs three samples, and with few a clear difference", () => {
  assertEquals(beaten([10, 10, 10], [100, 100]), []);
  assertEquals(beaten([10, 10], [100, 100, 100]), []);
  assertEquals(beaten([10, 10, 10], [100, 100, 100]), [1]);
  assertEquals(beaten([10, 12, 10], [18.1, 19, 30]), [1]);
  // With three samples, a candidate is dropped only if its fastest sample exceeds 1.5 times the
  // slowest sample of the best candidate: 1.5 · 12 = 18.
  assertEquals(beaten([10, 12, 10], [17.9, 19, 30]), []);
});

Deno.test("beatenCandidates() never drops all, and accepts candidates without samples", () => {
  assertEquals(beaten(), []);
  assertEquals(beaten([]), []);
  assertEquals(beaten([5, 5, 5]), []);
  assertEquals(beaten([], [5, 5, 5], []), []);
  for (let seed = 0; seed < 50; seed++) {
    const lists = Array.from(
      { length: 5 },
      (_, i) =>
        Array.from({ length: 3 + (seed * i) % 7 }, (_, k) => 1 + ((seed * 31 + i * 17 + k) % 13)),
    );
    assert(beatenCandidates(lists).size < lists.length);
  }
});
