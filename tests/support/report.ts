/** Compares numbers with tolerances, and counts the comparisons. */
import { assert } from "./assert/assert.ts";
import type { Violation } from "./violation.ts";

export interface Report {
  /** What was checked. */
  readonly name: string;
  /** The number of cases in which something was compared: examples and drawn cases together. */
  readonly cases: number;
  /** The number of comparisons. */
  readonly comparisons: number;
  /** The largest share of a tolerance that an error used; undefined if only bits were compared. */
  readonly share: number | undefined;
  /** The quantity that used that share. */
  readonly worst: string;
}

export function describeReport({ name, cases, comparisons, share, worst }: Report): string {
  const used = share === undefined
    ? "bit for bit"
    : `${share.toPrecision(2)} of the tolerance used (${worst})`;
  return `${name}: ${cases} cases, ${comparisons} numbers, ${used}`;
}

interface Listed {
  readonly data: ArrayLike<number>;
}

interface Quantity {
  share: number;
  /** The largest |expected| / bound, which tells how fine the finest comparison was. */
  resolution: number;
}

/**
 * Checks errors against bounds, counts the comparisons, and records the largest share of a bound
 * that an error used.
 */
export class Tally {
  #comparisons = 0;
  readonly #quantities = new Map<string, Quantity>();

  /** Numbers compared so far. */
  get comparisons(): number {
    return this.#comparisons;
  }

  /**
   * Throws unless |actual − expected| ≤ bound for every element. NaN is never within a bound. The
   * three lists must be equally long.
   */
  within(
    what: string,
    { actual, expected, bound }: {
      readonly actual: ArrayLike<number>;
      readonly expected: ArrayLike<number>;
      readonly bound: ArrayLike<number>;
    },
  ): void {
    assert(expected.length > 0, `${what}: nothing to compare`);
    assert(
      actual.length === expected.length && bound.length === expected.length,
      `${what}: ${actual.length} numbers, ${expected.length} expected, ${bound.length} bounds`,
    );
    const quantity = this.#quantity(what);
    for (let i = 0; i < expected.length; i++) {
      const error = Math.abs(actual[i]! - expected[i]!);
      if (!(error <= bound[i]!)) {
        throw new Error(
          `${what}[${i}] is ${actual[i]}, expected ${expected[i]}: off by ${error}, allowed ${
            bound[i]
          }`,
        );
      }
      if (error > 0) quantity.share = Math.max(quantity.share, error / bound[i]!);
      if (bound[i]! > 0) {
        quantity.resolution = Math.max(quantity.resolution, Math.abs(expected[i]!) / bound[i]!);
      }
    }
    this.#comparisons += expected.length;
  }

  /** {@linkcode within} for every result in `names`. */
  eachWithin<Name extends string>(
    what: string,
    names: readonly Name[],
    { actual, expected, bounds }: {
      readonly actual: Readonly<Record<Name, Listed>>;
      readonly expected: Readonly<Record<Name, Listed>>;
      readonly bounds: Readonly<Record<Name, ArrayLike<number>>>;
    },
  ): void {
    for (const name of names) {
      this.within(`${what}${name}`, {
        actual: actual[name].data,
        expected: expected[name].data,
        bound: bounds[name],
      });
    }
  }

  /**
   * Throws unless max |actual − expected| ≤ limit · max |expected|, or limit · least if that is
   * larger.
   */
  normwise(
    what: string,
    { actual, expected, limit, least = 0 }: {
      readonly actual: ArrayLike<number>;
      readonly expected: ArrayLike<number>;
      readonly limit: number;
      readonly least?: number;
    },
  ): void {
    let largest = least;
    for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
    const bound = new Float64Array(expected.length).fill(limit * largest);
    this.within(what, { actual, expected, bound });
  }

  /**
   * Throws unless something was compared, and the violation of an identity or inequality is at most
   * the tolerance.
   */
  holds(what: string, { violation, tolerance }: { violation: Violation; tolerance: number }): void {
    const { worst, where, compared } = violation;
    assert(compared > 0, `${what}: nothing was compared`);
    if (!(worst <= tolerance)) {
      throw new Error(`${what}: violated by ${worst} at ${where}, allowed ${tolerance}`);
    }
    const quantity = this.#quantity(what);
    quantity.share = Math.max(quantity.share, worst / tolerance);
    quantity.resolution = Math.max(quantity.resolution, 1 / tolerance);
    this.#comparisons += compared;
  }

  /** Throws unless two lists have the same bits; all NaNs count as equal. */
  sameBits(
    what: string,
    { actual, expected }: {
      readonly actual: ArrayLike<number>;
      readonly expected: ArrayLike<number>;
    },
  ): void {
    assert(actual.length === expected.length, `${what}: ${actual.length}, ${expected.length}`);
    assert(expected.length > 0, `${what}: nothing to compare`);
    for (let i = 0; i < expected.length; i++) {
      if (!Object.is(actual[i], expected[i])) {
        throw new Error(`${what}[${i}] is ${actual[i]}, wanted the bits of ${expected[i]}`);
      }
    }
    this.#comparisons += expected.length;
  }

  /** Counts comparisons made elsewhere. */
  count(comparisons: number): void {
    this.#comparisons += comparisons;
  }

  /**
   * The report of all comparisons. Throws if there were none, or if a quantity was never compared
   * finely enough to show an error of 1 %.
   */
  report(name: string, cases: number): Report {
    assert(cases > 0 && this.#comparisons > 0, `${name}: nothing was compared`);
    let share: number | undefined;
    let worst = "";
    for (const [what, quantity] of this.#quantities) {
      assert(
        quantity.resolution > 100,
        `${name}: ${what} was nowhere compared to better than 1 part in ${quantity.resolution}`,
      );
      if (share === undefined || quantity.share > share) [share, worst] = [quantity.share, what];
    }
    return { name, cases, comparisons: this.#comparisons, share, worst };
  }

  #quantity(what: string): Quantity {
    const quantity = this.#quantities.get(what) ?? { share: 0, resolution: 0 };
    this.#quantities.set(what, quantity);
    return quantity;
  }
}
