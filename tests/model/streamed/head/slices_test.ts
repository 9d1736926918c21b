import { joinSlices, vocabularySlices } from "../../../../src/model/streamed/head/slices.ts";
import { assert, assertEquals } from "../../../support/assert/assert.ts";

Deno.test("vocabularySlices() cuts whole tiles within the limit, and leaves nothing out", () => {
  for (
    const [vocabulary, modelDim, rows] of [
      [49_152, 576, 128],
      [151_936, 1024, 2048],
      [128_256, 2048, 1],
      [37, 24, 12],
      [100_003, 65_536, 8192],
    ] as const
  ) {
    const slices = vocabularySlices({ vocabulary, modelDim, rows });
    let end = 0;
    for (const { first, count } of slices) {
      assertEquals(first, end);
      assert(count > 0 && 4 * count * Math.max(modelDim, rows) <= 2 ** 24, `${count}`);
      end += count;
    }
    assertEquals(end, vocabulary);
    const lengths = new Set(slices.slice(0, -1).map(({ count }) => count));
    assert(lengths.size <= 1, "slices differ in length");
    for (const length of lengths) assertEquals(length % 64, 0);
  }
});

Deno.test("joinSlices() gives the whole row's loss and logSumExp", () => {
  // Two rows, each with the logits 1, 2 in one slice and 3, 0 in the next. The first row's target
  // is column 1, the second row's is column 2.
  const logSumExp = (...z: number[]) => Math.log(z.reduce((sum, each) => sum + Math.exp(each), 0));
  const [low, high] = [logSumExp(1, 2), logSumExp(3, 0)];
  const { tokenLosses, logSumExp: all } = joinSlices([
    [Float32Array.of(low - 2, low), Float32Array.of(low, low)],
    [Float32Array.of(high, high - 3), Float32Array.of(high, high)],
  ]);
  const whole = logSumExp(1, 2, 3, 0);
  [whole, whole].forEach((each, row) => assert(Math.abs(all[row]! - each) < 1e-6, `${all[row]}`));
  [whole - 2, whole - 3].forEach((each, row) =>
    assert(Math.abs(tokenLosses[row]! - each) < 1e-6, `${tokenLosses[row]}`)
  );
});
