/**
 * What several operators' mutants are caught by: the properties, with arguments that pin their
 * cases.
 */
import type { Property } from "../check_cases.ts";
import { BACKWARD_ONLY, describeEach, FULL } from "../attention/cases.ts";
import {
  attentionBackwardMatchesTwin,
  attentionForwardMatchesTwin,
} from "../properties/attention/twin.ts";
import { operatorsStayInBounds } from "../properties/bounds.ts";
import { dispatchesSpread, narrowGpu } from "../properties/specializations.ts";

/** An operator with some broken kernels. */
export type BrokenOperator = "attention" | "rmsNorm" | "vScale";

/** No drawn cases beside the examples, and none made smaller. */
export const pinned = { runs: 0, endOnFailure: true } as const;

const grouped = { batch: 2, keyHeads: 2, group: 2 };

// Small enough for software adapters: two tiles and a piece of a third; batches, heads and groups;
// a ninth vec4f column for eight lanes; V-scale in both modes; logits that overflow exp where the
// maximum is not subtracted.
const attentionCases = describeEach([
  { ...grouped, length: 69, headDim: 36, seed: 11 },
  { ...grouped, length: 37, headDim: 36, seed: 12, scale: -0.4, vScale: FULL },
  { batch: 2, keyHeads: 3, length: 33, headDim: 12, seed: 13, vScale: BACKWARD_ONLY },
  { length: 97, headDim: 8, seed: 14, pattern: "huge logits" },
]);

/** The forward pass of attention. */
export const attentionForward: Property = (gpu) =>
  attentionForwardMatchesTwin(gpu, { ...pinned, examples: attentionCases });

/** The backward pass of attention. */
export const attentionBackward: Property = (gpu) =>
  attentionBackwardMatchesTwin(gpu, { ...pinned, examples: attentionCases });

/** What an operator computes where one dimension does not hold its workgroups. */
export function spread(operator: BrokenOperator): Property {
  return (gpu) => dispatchesSpread(gpu, { endOnFailure: true, operators: [operator] });
}

/** What an operator reads and writes beyond its tensors. */
export function bounds(operator: BrokenOperator): Property {
  return (gpu) => operatorsStayInBounds(gpu, { operators: [operator] });
}

/** The same where one dimension does not hold its workgroups. */
export function spreadBounds(operator: BrokenOperator): Property {
  return (gpu) => operatorsStayInBounds(narrowGpu(gpu), { operators: [operator] });
}

/** The text by which a kernel counts its workgroups over two dimensions. */
export const wrap = "workgroup.y * workgroups.x + workgroup.x";
