/** The identities and bounds of the theory, checked on a real batch. */

export interface TheoryCheck {
  /** A short name, such as "value path" or "mass bound". */
  readonly name: string;
  /** The formula in the notation of src/reference/theory.md. */
  readonly formula: string;
  /** An identity says that left = right, a bound that left ≤ right. Only a bound has `slack`. */
  readonly kind: "identity" | "bound";
  /** How many comparisons were made. */
  readonly compared: number;
  /**
   * The error of the comparison that uses the largest share of its tolerance: |left − right| for an
   * identity, left − right for a bound, each divided by the sum of the terms' magnitudes. A bound
   * that holds with room has a negative error.
   */
  readonly worst: number;
  /** The place of `worst`: layer, head or branch, sequence, position. */
  readonly where: string;
  /** The largest value of `worst` that rounding can explain in the same comparison. */
  readonly tolerance: number;
  /** How many comparisons exceed their tolerance. */
  readonly violations: number;
  /** How tight a bound is in each layer and branch where it was checked. Empty for an identity. */
  readonly slack: readonly SlackDistribution[];
}

/** The levels of {@linkcode SlackDistribution}'s quantiles. */
export const SLACK_LEVELS = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1] as const;

/**
 * The slack of a bound, bound / actual: 1 if the actual value equals the bound, 10 if the bound is
 * ten times the actual value. Actual values that may be nothing but rounding error are left out.
 */
export interface SlackDistribution {
  readonly layer: number;
  readonly branch: "attention" | "mlp";
  /** Quantiles at SLACK_LEVELS over all tokens. */
  readonly all: readonly number[];
  /** Quantiles at SLACK_LEVELS over the tokens at position s alone; empty if all are left out. */
  readonly sink: readonly number[];
  /**
   * How many values of log10 slack fall into each bin. Every bin is `width` wide, and the first one
   * begins at `from`. The last bin also counts all greater values.
   */
  readonly histogram: {
    readonly from: number;
    readonly width: number;
    readonly counts: readonly number[];
  };
}

export interface TheoryMeasurement {
  readonly checks: readonly TheoryCheck[];
  /** One line per check with violations; empty if all checks hold. */
  readonly errors: readonly string[];
}
