import { standardNormalTable } from "simple-statistics";
import { randomNormal, randomUniform } from "../src/random.ts";
import { assert, assertEquals, assertNotEquals, assertThrows } from "./support/assert/assert.ts";

const LENGTH = 100_000;

function moment(values: ArrayLike<number>, power: number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** power;
  return sum / values.length;
}

function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let ab = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

/** FNV-1a over the array's bytes: one number that changes when any bit does. */
function fingerprint(values: Float32Array<ArrayBuffer>): number {
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(values.buffer)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

Deno.test("randomNormal() gives equal arrays for equal seeds, different ones for different seeds", () => {
  const draw = (seed: number) => randomNormal({ seed, length: 1001 });
  assertEquals(draw(5), draw(5));
  assertEquals(draw(5).subarray(0, 77), randomNormal({ seed: 5, length: 77 }));
  for (const other of [4, 6, -5, 5 + 2 ** 32, -5 - 2 ** 40]) assertNotEquals(draw(5), draw(other));
});

Deno.test("randomNormal() and randomUniform() give the pinned bits", () => {
  // Published results depend on the numbers that each seed gives. So these must never change.
  assertEquals(fingerprint(randomNormal({ seed: 1, length: 4096 })), 1817298916);
  assertEquals(fingerprint(randomUniform({ seed: 1, length: 4096 })), 3151979574);
});

Deno.test("randomNormal() has the moments of the normal distribution", () => {
  // The first four sample moments of N(0, 1) have the standard errors √(1/n), √(2/n), √(15/n) and
  // √(96/n). The limit is 4.5 standard errors. A wrong variance or tail would move a moment by
  // hundreds of standard errors.
  const z = randomNormal({ seed: 11, length: LENGTH });
  const allowed = (variance: number) => 4.5 * Math.sqrt(variance / LENGTH);
  assert(Math.abs(moment(z, 1)) < allowed(1));
  assert(Math.abs(moment(z, 2) - 1) < allowed(2));
  assert(Math.abs(moment(z, 3)) < allowed(15));
  assert(Math.abs(moment(z, 4) - 3) < allowed(96));
  const scaled = randomNormal({ seed: 11, length: LENGTH, mean: 3, standardDeviation: 0.5 });
  assert(Math.abs(moment(scaled, 1) - 3) < 0.5 * allowed(1));
  for (const i of [0, 1, 999]) assert(Math.abs(scaled[i]! - (3 + z[i]! / 2)) < 1e-6);
});

Deno.test("randomNormal() has the normal distribution function", () => {
  // Kolmogorov–Smirnov: √n sup|F_n − F| exceeds 2.5 with probability 2 exp(−2·2.5²) = 7e-6.
  const z = randomNormal({ seed: 23, length: LENGTH }).sort();
  // The table of simple-statistics has Φ(0.00), Φ(0.01), … Φ(3.09), rounded to 4 digits.
  standardNormalTable.forEach((probability, hundredths) => {
    const below = z.findIndex((value) => value > hundredths / 100) / LENGTH;
    assert(
      Math.abs(below - probability) < 2.5 / Math.sqrt(LENGTH) + 5e-5,
      `at ${hundredths / 100}: ${below}, wanted ${probability}`,
    );
  });
});

Deno.test("randomNormal() is uncorrelated from seed to seed and from value to value", () => {
  // A sample correlation has standard error 1/√n.
  const length = 10_000;
  const limit = 4.5 / Math.sqrt(length);
  const arrays = Array.from({ length: 12 }, (_, seed) => randomNormal({ seed, length }));
  for (let i = 1; i < arrays.length; i++) {
    assert(Math.abs(correlation(arrays[i - 1]!, arrays[i]!)) < limit);
    assert(Math.abs(correlation(arrays[0]!, arrays[i]!)) < limit);
    assert(Math.abs(correlation(arrays[i]!.subarray(1), arrays[i]!.subarray(0, -1))) < limit);
  }
  // The first values of 10,000 consecutive seeds must be uncorrelated and normal, too.
  const first = Array.from({ length }, (_, seed) => randomNormal({ seed, length: 1 })[0]!);
  assert(Math.abs(correlation(first.slice(1), first.slice(0, -1))) < limit);
  assert(Math.abs(moment(first, 1)) < limit);
  assert(Math.abs(moment(first, 2) - 1) < limit * Math.SQRT2);
});

Deno.test("randomUniform() fills the interval evenly and never draws its end", () => {
  const u = randomUniform({ seed: 3, length: LENGTH, minimum: -2, maximum: 6 });
  const counts = new Array<number>(16).fill(0);
  for (const value of u) {
    assert(value >= -2 && value < 6);
    counts[Math.floor((value + 2) * 2)]! += 1;
  }
  // Pearson's statistic with 15 degrees of freedom exceeds 52 with probability 6e-6.
  const expected = LENGTH / 16;
  const statistic = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  assert(statistic < 52, `chi squared ${statistic}`);
  // Between the interval's ends there is no float32 number, so only the lower end may occur.
  const step = randomUniform({ seed: 3, length: 100, minimum: 1, maximum: 1 + 2 ** -23 });
  assert(step.every((value) => value === 1));
});

Deno.test("randomNormal() and randomUniform() reject bad options", () => {
  assertThrows(() => randomNormal({ seed: 0.5, length: 1 }), RangeError, "seed is 0.5");
  assertThrows(() => randomNormal({ seed: 1, length: -1 }), RangeError, "length is -1");
  assertThrows(() => randomNormal({ seed: 1, length: 1, mean: NaN }), RangeError, "mean is NaN");
  assertThrows(
    () => randomNormal({ seed: 1, length: 1, standardDeviation: -1 }),
    RangeError,
    "standardDeviation is -1",
  );
  assertThrows(() => randomUniform({ seed: 1, length: 1, minimum: 1 }), RangeError, "[1, 1)");
  assertThrows(
    () => randomUniform({ seed: 1, length: 1, maximum: 1e39 }),
    RangeError,
    "[0, 1e+39)",
  );
  assertEquals(randomUniform({ seed: 1, length: 0 }).length, 0);
});
