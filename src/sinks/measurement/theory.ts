/** The identities and bounds of the theory, checked on a real batch. */

export interface TheoryCheck {
  /** A short name, such as "value path" or "mass bound". */
  readonly name: string;
  /** The formula in the notation of src/reference/theory.md. */
  readonly formula: string;
  /** Only a bound has `slack`. */
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
  /** The most that rounding can explain in the comparison of `worst`, in the same unit. */
  readonly tolerance: number;
  /** How many comparisons exceed their tolerance. */
  readonly violations: number;
  /** How tight a bound is, for each layer (and branch) that has it. Empty for identities. */
  readonly slack: readonly SlackDistribution[];
}

/** The levels of {@linkcode SlackDistribution}'s quantiles. */
export const SLACK_LEVELS = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1] as const;

/**
 * Slack of a bound, bound / actual: 1 if it is attained, 10 if it is ten times too large. Tokens
 * whose actual value may be nothing but rounding error are left out.
 */
export interface SlackDistribution {
  readonly layer: number;
  readonly branch: "attention" | "mlp";
  /** Quantiles at SLACK_LEVELS over all tokens. */
  readonly all: readonly number[];
  /** Quantiles at SLACK_LEVELS over the tokens at position s alone; empty if all are left out. */
  readonly sink: readonly number[];
  /**
   * Counts of log10 slack in bins of width `width` from `from` on. The last bin also counts all
   * greater values.
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
