/** Comparing a number with one that it need not be to the last bit. */
import { assert } from "./assert.ts";

/** Throws unless `actual` is within a share of `expected`, which is not 0. */
export function near(actual: number | undefined, expected: number, relative = 1e-9): void {
  assert(
    actual !== undefined && Math.abs(actual / expected - 1) <= relative,
    `${actual} is not within ${relative} of ${expected}`,
  );
}
