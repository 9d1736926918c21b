/** The properties that catch mutants of several operators, with pinned cases. */
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

/** Options to check only the examples, and to shrink none that fails. */
export const pinned = { runs: 0, endOnFailure: true } as const;

const grouped = { batch: 2, keyHeads: 2, group: 2 };

// Cases that are small enough for software adapters. Among them are: two tiles and part of a third,
// several sequences, key heads and query heads per key head, a ninth vec4f column for eight lanes,
// V-scale in both modes, and logits that overflow exp unless the maximum is subtracted.
const attentionCases = describeEach([
  { ...grouped, length: 69, headDim: 36, seed: 11 },
  { ...grouped, length: 37, headDim: 36, seed: 12, scale: -0.4, vScale: FULL },
  { batch: 2, keyHeads: 3, length: 33, headDim: 12, seed: 13, vScale: BACKWARD_ONLY },
  { length: 97, headDim: 8, seed: 14, pattern: "huge logits" },
]);

export const attentionForward: Property = (gpu) =>
  attentionForwardMatchesTwin(gpu, { ...pinned, examples: attentionCases });

export const attentionBackward: Property = (gpu) =>
  attentionBackwardMatchesTwin(gpu, { ...pinned, examples: attentionCases });

/** The operator is right even if its workgroups need two dimensions. */
export function spread(operator: BrokenOperator): Property {
  return (gpu) => dispatchesSpread(gpu, { endOnFailure: true, operators: [operator] });
}

/** The operator stays within its tensors. */
export function bounds(operator: BrokenOperator): Property {
  return (gpu) => operatorsStayInBounds(gpu, { operators: [operator] });
}

/** The operator stays within its tensors even if its workgroups need two dimensions. */
export function spreadBounds(operator: BrokenOperator): Property {
  return (gpu) => operatorsStayInBounds(narrowGpu(gpu), { operators: [operator] });
}

/** The WGSL that numbers workgroups which are spread over two dimensions. */
export const wrap = "workgroup.y * workgroups.x + workgroup.x";
