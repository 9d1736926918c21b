import { randomNormal, randomUniform } from "../../../src/random.ts";
import * as reference from "../../../src/reference/mod.ts";
import {
  attentionForwardRow,
  type AttentionNumbers,
  keyValueGradientRow,
  queryGradientRow,
} from "../../../src/measure/workloads/attention/rows.ts";
import { largestError, samplePlaces, sampleRows } from "../../../src/measure/workloads/samples.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";

const dimensions = { B: 2, Hq: 6, Hkv: 2, T: 19, D: 12 };
const { B, Hq, Hkv, T, D } = dimensions;

// The functions for single rows add the twin's terms in another order, in float64. Rounding some
// hundred terms causes an error far below 1e-12.
const TOLERANCE = 1e-12;

function draw(seed: number, shape: readonly number[]): Float32Array {
  return randomNormal({ seed, length: shape.reduce((product, n) => product * n, 1) });
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert(a.length === b.length && a.length > 0);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  assert(!Number.isNaN(largest));
  return largest;
}

for (const mode of [undefined, "full", "backward-only"] as const) {
  Deno.test(`attentionForwardRow() and the gradient rows are the twin's, V-scale ${mode ?? "none"}`, () => {
    const query = draw(1, [B, Hq, T, D]), key = draw(2, [B, Hkv, T, D]);
    const value = draw(3, [B, Hkv, T, D]), outputGradient = draw(4, [B, Hq, T, D]);
    const constant = randomUniform({ seed: 5, length: Hkv, minimum: 5, maximum: 20 });
    const numbers: AttentionNumbers = {
      dimensions,
      query,
      key,
      value,
      ...mode === undefined ? {} : { vScale: { constant, mode } },
    };
    const { tensor } = reference;
    const inputs = {
      query: tensor(query, [B, Hq, T, D]),
      key: tensor(key, [B, Hkv, T, D]),
      value: tensor(value, [B, Hkv, T, D]),
      ...mode === undefined ? {} : { vScale: { constant: tensor(constant, [Hkv]), mode } },
    };
    const forward = reference.attentionForward(inputs);
    const output = Float32Array.from(forward.output.data);
    const logSumExp = Float32Array.from(forward.logSumExp.data);
    const gradients = reference.attentionBackward({
      ...inputs,
      output: tensor(output, [B, Hq, T, D]),
      logSumExp: tensor(logSumExp, [B, Hq, T]),
      outputGradient: tensor(outputGradient, [B, Hq, T, D]),
    });
    const backward = { ...numbers, output, logSumExp, outputGradient };
    let largest = 0;
    for (let head = 0; head < B * Hq; head++) {
      for (let position = 0; position < T; position++) {
        const row = head * T + position;
        const wanted = forward.output.data.subarray(row * D, (row + 1) * D);
        const own = attentionForwardRow(numbers, { head, position });
        const { gradient: query, magnitude } = queryGradientRow(backward, { head, position });
        // Even if a gradient's terms cancel, `magnitude`, its rounding errors' scale, is not 0.
        assert(magnitude > 0);
        largest = Math.max(
          largest,
          distance(own.output, wanted),
          distance([own.logSumExp], [forward.logSumExp.data[row]!]),
          distance(query, gradients.queryGradient.data.subarray(row * D, (row + 1) * D)),
        );
      }
    }
    for (let head = 0; head < B * Hkv; head++) {
      for (let position = 0; position < T; position++) {
        const start = (head * T + position) * D;
        const own = keyValueGradientRow(backward, { head, position });
        largest = Math.max(
          largest,
          distance(own.key.gradient, gradients.keyGradient.data.subarray(start, start + D)),
          distance(own.value, gradients.valueGradient.data.subarray(start, start + D)),
        );
      }
    }
    assert(largest <= TOLERANCE, `off by ${largest}`);
    console.log(`    ${(largest / TOLERANCE).toPrecision(2)} of the tolerance used`);
  });
}

Deno.test("sampleRows() and samplePlaces() draw valid places with both ends", () => {
  for (const count of [1, 2, 5, 33, 1000]) {
    const rows = sampleRows(count, { draws: 8, seed: count });
    assert(rows.every((row) => Number.isInteger(row) && row >= 0 && row < count));
    assertEquals([rows[0], rows.at(-1)], [0, count - 1]);
    assertEquals(new Set(rows).size, rows.length);
    const places = samplePlaces({ heads: 5, length: count }, { seed: 3 });
    assert(places.every(({ head }) => Number.isInteger(head) && head >= 0 && head < 5));
    if (count > 1) assertEquals(places.at(-1), { head: 4, position: count - 1 });
  }
});

Deno.test("largestError() is relative to the row, to its terms' magnitudes, or to a hundredth of the largest row", () => {
  const large = { output: "a", actual: [100, 10.5], wanted: [100, 10] };
  assertEquals(largestError([large]), { error: 0.005, output: "a" });
  const small = { output: "a", actual: [0.6], wanted: [0.5] };
  const { error } = largestError([{ ...large, actual: large.wanted }, small]);
  assert(Math.abs(error - 0.1) < 1e-12, String(error));
  const sum = { output: "a", actual: [0], wanted: [1], magnitude: 4 };
  assertEquals(largestError([sum]), { error: 0.25, output: "a" });
  const other = { output: "b", actual: [2], wanted: [1] };
  assertEquals(largestError([large, other]), { error: 1, output: "b" });
});

Deno.test("largestError() is infinite for NaN, Infinity and missing numbers", () => {
  for (const actual of [[NaN, 2], [1, NaN], [1, Infinity], [1]]) {
    assertEquals(largestError([{ output: "a", actual, wanted: [1, 2] }]).error, Infinity);
  }
});

Deno.test("largestError() throws if nothing would be compared", () => {
  assertThrows(() => largestError([]), RangeError, "there are no samples");
  for (const numbers of [[], [0]]) {
    const sample = { output: "dx", actual: numbers, wanted: numbers };
    assertThrows(() => largestError([sample]), RangeError, "dx has only zeros");
  }
});
