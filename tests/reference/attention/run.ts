/** Runs the twin's attention on a case. */
import * as reference from "../../../src/reference/mod.ts";
import type { AttentionCase } from "../cases.ts";

/**
 * The forward and the backward pass of a case.
 *
 * @param drawn the case
 * @param mode V-scale's mode; without V-scale by default
 */
export function run(drawn: AttentionCase, mode?: "full" | "backward-only") {
  const vScale = mode && { constant: drawn.constant, mode };
  const forward = reference.attentionForward({ ...drawn, vScale });
  return {
    ...forward,
    ...reference.attentionBackward({ ...drawn, ...forward, vScale }),
    vScale,
  };
}
