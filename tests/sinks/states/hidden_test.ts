import { StateMeter } from "../../../src/sinks/states/hidden.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

Deno.test("StateMeter finds the largest elements and their places, and massive ones by both criteria", () => {
  const meter = new StateMeter({ context: 4, width: 3 });
  // The median magnitude is 0.1. 150 is massive. 99 is not: it is below 100, and below 1000 times
  // the median.
  const text = (value: number) =>
    Float64Array.of(0.1, -value, 0.1, 0.1, 0.1, 0.1, 99, 0.05, 0.1, 0.1, 0.1, 0.2);
  meter.add(Float64Array.of(...text(150), ...text(160)), 2);
  meter.add(text(140), 1);
  const { largest, median, massive, cosine, largestByPosition } = meter.result([0, 1, 2, 3]);
  assertEquals(largest, [
    { value: -160, sequence: 1, position: 0, dimension: 1 },
    { value: 99, sequence: 0, position: 2, dimension: 0 },
    { value: 0.2, sequence: 0, position: 3, dimension: 2 },
  ]);
  assertEquals(massive, 1);
  // A channel's number is its largest magnitude in a text, averaged over the three texts.
  assertEquals(meter.channels().map((each) => Number(each.toFixed(12))), [99, 150, 0.2]);
  assert(Math.abs(median - 0.1) < 1e-6, `${median}`);
  assertEquals(largestByPosition[0], 150);
  assert(Math.abs(cosine[0]! - 1) < 1e-12, `${cosine[0]}`);
  // Token 1 is (0.1, 0.1, 0.1), and token 0 has almost the direction (0, −1, 0). So the cosine of
  // the angle between them is about −1/√3.
  assert(Math.abs(cosine[1]! + 1 / Math.sqrt(3)) < 1e-2, `${cosine[1]}`);
});
