/**
 * The form of a claim's rule, the levels of a sink, and the step from figures over seeds to a
 * verdict.
 */
import type { VScaleVariant } from "../../../reference/llama/config.ts";
import { type ClaimVerdict, type Evidences, type Found, LEVEL, type RawClaim } from "./evidence.ts";

/** A claim and how it is judged. */
export interface ClaimRule {
  /** Letters and dashes. */
  readonly id: string;
  readonly title: string;
  readonly paper: string;
  readonly rule: string;
  /** The claim is about a sink: it is judged where one of these arms has at least a weak one. */
  readonly sinkOf?: readonly VScaleVariant[];
  judge(evidences: Evidences): RawClaim;
}

/** A sink: in contexts of 64 tokens five times what equal attention to all would be. */
export const SINK = 0.2;

/** With fewer seeds no sign-flip test passes. */
export const LEAST_SEEDS = Math.ceil(-Math.log2(LEVEL));

/** A weak sink. Below this level there is none, and claims about sinks are not judged. */
export const WEAK_SINK = 0.1;

/** Whether a claim holds. */
export interface ClaimOutcome {
  /** Its rule is fulfilled. */
  readonly fully: boolean;
  /** Its medians point its way, whatever the tests say. */
  readonly direction: boolean;
}

/** The same words for every rule; {@linkcode CLAIM_VERDICTS} has their order. */
function verdict(found: readonly Found[], { fully, direction }: ClaimOutcome): ClaimVerdict {
  if (found.some(({ count }) => count === 0)) return "no data";
  const tests = found.filter(({ evidence }) => evidence.test !== undefined);
  if (tests.length > 0 && !tests.some(({ reachable }) => reachable)) return "too few seeds";
  if (fully) return "reproduced";
  if (tests.some(({ passed }) => passed)) return "partly";
  return direction ? "direction only" : "not reproduced";
}

/** A claim from its evidence. */
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
      ? [...remarks, `a comparison has ${few} of ${LEAST_SEEDS} seeds that a test takes to pass`]
      : remarks,
  };
}

/** Whether a figure is there and above a bound. */
export function isAbove(value: number | undefined, bound: number): boolean {
  return value !== undefined && value > bound;
}

/** Whether a figure is there and within bounds, or on one of them. */
export function isWithin(value: number | undefined, low: number, high: number): boolean {
  return value !== undefined && value >= low && value <= high;
}
