/**
 * Gradients of the twin against finite differences, and how many of these comparisons are sharp.
 */
import type { DerivativeEstimate } from "../../src/reference/finite_differences.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { inner, norm } from "../support/vectors.ts";
import type { Tolerances } from "./cases.ts";

/** Remembers, by what was compared, how many comparisons were sharp. */
export class SharpComparisons {
  readonly #seen = new Map<string, { readonly all: number; readonly sharp: number }>();

  /**
   * Holds a gradient along a direction against a finite difference, within ten times the
   * difference's own estimate of its error and the twin's rounding.
   *
   * @param tolerances of the property
   * @param options.what what is compared
   * @param options.floor the twin's own rounding of what the loss adds up
   * @param options.counts whether the comparison can detect a millionth of the gradient at all
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

  /** Throws unless `count` things were compared, each sharply in at least 60 % of its cases. */
  assertSharp(count: number): void {
    assertEquals(this.#seen.size, count);
    for (const [what, { all, sharp }] of this.#seen) {
      assert(sharp >= 0.6 * all, `${what}: only ${sharp} of ${all} comparisons were sharp`);
    }
  }
}
