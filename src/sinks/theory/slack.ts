/**
 * Sums up many comparisons of an identity or a bound: how far it is violated, and how tight a bound
 * is.
 */
import { SLACK_LEVELS, type SlackDistribution, type TheoryCheck } from "../measurement/theory.ts";
import { quantile } from "../numbers.ts";

/** A check's name and formula. */
export interface CheckName {
  readonly name: string;
  readonly formula: string;
}

/** One comparison. */
export interface Comparison {
  /** For an identity: |left − right|, which must be 0. For a bound: left − right, at most 0. */
  readonly excess: number;
  /** The magnitude of the terms that the two sides sum; rounding errors are relative to it. */
  readonly scale: number;
  /** The largest ratio of excess to scale that rounding can explain. */
  readonly tolerance: number;
  /** Names where the comparison was made, such as the layer and position. */
  readonly where: () => string;
}

/** One comparison of a bound. */
export interface BoundComparison extends Omit<Comparison, "excess"> {
  readonly actual: number;
  readonly bound: number;
  /** Whether the token is at `TheoryOptions.position`. */
  readonly atSink: boolean;
}

/** The width of a histogram's bins, which count values of log10(bound / actual). */
const BIN = 0.05;

export class CheckMeter {
  readonly #check: CheckName & { readonly kind: "identity" | "bound" };
  readonly #slack = new Map<string, {
    readonly place: Pick<SlackDistribution, "layer" | "branch">;
    readonly all: number[];
    readonly sink: number[];
  }>();
  #compared = 0;
  #violations = 0;
  #worst = -Infinity;
  #tolerance = 0;
  #where = "nothing was compared";
  /**
   * The largest share of its tolerance that any comparison uses up. `worst` reports the comparison
   * with this share.
   */
  #share = -Infinity;

  constructor(check: CheckName & { readonly kind: "identity" | "bound" }) {
    this.#check = check;
  }

  /** Adds a comparison of an identity. */
  identity({ excess, scale, tolerance, where }: Comparison): void {
    this.#compared++;
    // A scale of 0 allows no excess above 0. A NaN counts as an infinite violation.
    const ratio = excess === 0 || (scale === 0 && excess < 0) ? 0 : excess / scale;
    const violation = Number.isNaN(ratio) ? Infinity : ratio;
    if (violation > tolerance) this.#violations++;
    const share = violation > 0 ? violation / tolerance : violation;
    if (share > this.#share) {
      this.#share = share;
      this.#worst = violation;
      this.#tolerance = tolerance;
      this.#where = where();
    }
  }

  /** Adds a comparison of a bound, and its slack, bound / actual, in this layer and branch. */
  bound(
    { actual, bound, atSink, ...comparison }: BoundComparison,
    place: Pick<SlackDistribution, "layer" | "branch">,
  ): void {
    this.identity({ ...comparison, excess: actual - bound });
    // An actual value that may be nothing but rounding error does not show how tight the bound is.
    if (!(actual > 2 * comparison.tolerance * comparison.scale)) return;
    const key = `${place.layer} ${place.branch}`;
    const slack = this.#slack.get(key) ?? { place, all: [], sink: [] };
    this.#slack.set(key, slack);
    const room = Math.min(bound / actual, Number.MAX_VALUE);
    slack.all.push(room);
    if (atSink) slack.sink.push(room);
  }

  /** The result; undefined if nothing was compared. */
  result(): TheoryCheck | undefined {
    if (this.#compared === 0) return undefined;
    return {
      ...this.#check,
      compared: this.#compared,
      worst: Math.min(this.#worst, Number.MAX_VALUE),
      where: this.#where,
      tolerance: this.#tolerance,
      violations: this.#violations,
      slack: [...this.#slack.values()].map(({ place, all, sink }) => ({
        ...place,
        all: slackQuantiles(all),
        sink: slackQuantiles(sink),
        histogram: slackHistogram(all),
      })),
    };
  }
}

function slackQuantiles(values: readonly number[]): number[] {
  if (values.length === 0) return [];
  const ascending = Float64Array.from(values).sort();
  return SLACK_LEVELS.map((level) => quantile(ascending, level));
}

function slackHistogram(values: readonly number[]): SlackDistribution["histogram"] {
  // If a bound of 0 is violated, bound / actual is 0, which has no logarithm.
  const bins = values.map((slack) => Math.floor(Math.log10(Math.max(slack, 1e-10)) / BIN));
  const first = bins.reduce((least, bin) => Math.min(least, bin), Infinity);
  const last = bins.reduce((most, bin) => Math.max(most, bin), -Infinity);
  // Values beyond 10^20 times the least go into the last bin, the 401st. Otherwise a gradient of
  // pure rounding error would add thousands of empty bins.
  const end = Math.min(last, first + 400);
  const counts = new Array<number>(end - first + 1).fill(0);
  for (const bin of bins) counts[Math.min(bin, end) - first]!++;
  return { from: Number((first * BIN).toFixed(6)), width: BIN, counts };
}
