/**
 * Compares the twin's gradients with finite differences, and counts the comparisons that are sharp:
 * those that would detect an error of a millionth of the gradient.
 */
import type { DerivativeEstimate } from "../../src/reference/finite_differences.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { inner, norm } from "../support/vectors.ts";
import type { Tolerances } from "./cases.ts";

/** Counts the sharp comparisons per name. */
export class SharpComparisons {
  readonly #seen = new Map<string, { readonly all: number; readonly sharp: number }>();

  /**
   * Compares a gradient along a direction with a finite difference. The tolerance is ten times the
   * difference's estimated error, plus the twin's rounding.
   *
   * @param options.floor a bound of the loss's error from rounding in the twin
   * @param options.counts whether the comparison can be sharp at all
   */
  compare(
    tolerances: Tolerances,
    { what, gradient, direction, estimate, floor, counts }: {
      readonly what: string;
      readonly gradient: Float64Array;
      readonly direction: Float64Array;
      readonly estimate: DerivativeEstimate;
      readonly floor: number;
      readonly counts: boolean;
    },
  ): void {
    const tolerance = 10 * estimate.error + floor;
    const exact = inner(gradient, direction);
    tolerances.within(Math.abs(estimate.value - exact), { tolerance, what });
    if (!counts) return;
    const { all, sharp } = this.#seen.get(what) ?? { all: 0, sharp: 0 };
    const isSharp = tolerance < 1e-6 * norm(gradient) * norm(direction);
    this.#seen.set(what, { all: all + 1, sharp: sharp + (isSharp ? 1 : 0) });
  }

  /** Throws unless `count` names were counted, each with at least 60 % sharp comparisons. */
  assertSharp(count: number): void {
    assertEquals(this.#seen.size, count);
    for (const [what, { all, sharp }] of this.#seen) {
      assert(sharp >= 0.6 * all, `${what}: only ${sharp} of ${all} comparisons were sharp`);
    }
  }
}
