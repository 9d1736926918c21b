/**
 * The form of a claim's rule, the strengths from which attention counts as a sink, and the choice
 * of the verdict. The rules themselves are in the files beside this one; `judge.ts` lists them.
 */
import type { VScaleVariant } from "../../../reference/llama/config.ts";
import { type ClaimVerdict, type Evidences, type Found, LEVEL, type RawClaim } from "./evidence.ts";

/** A claim with its rule. */
export interface ClaimRule {
  /** Letters and dashes. */
  readonly id: string;
  readonly title: string;
  readonly paper: string;
  readonly rule: string;
  /**
   * The claim is judged only if one of these arms has at least a weak sink. Absent for claims that
   * are not about sinks.
   */
  readonly sinkOf?: readonly VScaleVariant[];
  judge(evidences: Evidences): RawClaim;
}

/**
 * A sink above this strength is strong: about 5.5 times the score of uniform attention over idle
 * queries (see `Task.idleQueries`) in contexts of 64 tokens.
 */
export const SINK = 0.2;

/** The fewest seeds with which a test can pass: with n seeds, its p-value is at least 2^−n. */
export const LEAST_SEEDS = Math.ceil(-Math.log2(LEVEL));

/**
 * From this strength on, a sink is at least weak. Below it there is no sink, and claims about sinks
 * are not judged.
 */
export const WEAK_SINK = 0.1;

export interface ClaimOutcome {
  /** Whether the claim's rule is fulfilled. */
  readonly fully: boolean;
  /** Whether the medians point the claim's way, even if no test passes. */
  readonly direction: boolean;
}

/**
 * Chooses the verdict by the first of these statements that is true: a figure has no data; no test
 * can pass with so few seeds; the rule holds; a test passes; the medians point the claim's way. If
 * none is true, the claim is not reproduced.
 */
function verdict(found: readonly Found[], { fully, direction }: ClaimOutcome): ClaimVerdict {
  if (found.some(({ count }) => count === 0)) return "no data";
  const tests = found.filter(({ evidence }) => evidence.test !== undefined);
  if (tests.length > 0 && !tests.some(({ reachable }) => reachable)) return "too few seeds";
  if (fully) return "reproduced";
  if (tests.some(({ passed }) => passed)) return "partly";
  return direction ? "direction only" : "not reproduced";
}

/** Makes a claim from its evidence. */
export function claim(
  found: readonly Found[],
  outcome: ClaimOutcome,
  remarks: readonly string[] = [],
): RawClaim {
  const few = Math.min(...found.map(({ count }) => count));
  return {
    verdict: verdict(found, outcome),
    evidence: found.map(({ evidence }) => evidence),
    remarks: few > 0 && found.some(({ reachable }) => !reachable)
      ? [
        ...remarks,
        `a comparison has only ${few} of the ${LEAST_SEEDS} seeds that a test needs to pass`,
      ]
      : remarks,
  };
}

export function isAbove(value: number | undefined, bound: number): boolean {
  return value !== undefined && value > bound;
}

/** Bounds are inclusive. */
export function isWithin(value: number | undefined, low: number, high: number): boolean {
  return value !== undefined && value >= low && value <= high;
}
