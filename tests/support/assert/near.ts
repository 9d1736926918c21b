import { assert } from "./assert.ts";

/** Throws unless `actual` is within `relative` · |expected| of `expected`, which must not be 0. */
export function near(actual: number | undefined, expected: number, relative = 1e-9): void {
  assert(
    actual !== undefined && Math.abs(actual / expected - 1) <= relative,
    `${actual} is not within ${relative} of ${expected}`,
  );
}
