/**
 * The form of a claim's rule, the levels of a sink, and the step from figures over seeds to a
 * verdict.
 */
import type { VScaleVariant } from "../../../reference/llama/config.ts";
import type { ClaimVerdict, Evidences, Found, RawClaim } from "./evidence.ts";

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

/** A weak sink. Below this level there is none, and claims about sinks are not judged. */
export const WEAK_SINK = 0.1;

/** A verdict from whether the claim holds fully, or at least in direction; no data comes first. */
function verdict(
  found: readonly Found[],
  { fully, partly }: { readonly fully: boolean; readonly partly: boolean },
): ClaimVerdict {
  if (found.some(({ count }) => count === 0)) return "no data";
  return fully ? "reproduced" : partly ? "partly" : "not reproduced";
}

/** A claim from its evidence. */
export function claim(
  found: readonly Found[],
  outcome: { readonly fully: boolean; readonly partly: boolean },
  remarks: readonly string[] = [],
): RawClaim {
  const few = Math.min(...found.map(({ count }) => count));
  return {
    verdict: verdict(found, outcome),
    evidence: found.map(({ evidence }) => evidence),
    remarks: few > 0 && few < 5 && found.some(({ evidence }) => evidence.test !== undefined)
      ? [...remarks, `a comparison has ${few} of 5 seeds that a test takes to pass`]
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
