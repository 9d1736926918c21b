/** What a mutant of the matrix product is. */
import type { matmulMatchesTwin } from "../properties.ts";

/**
 * Makers of GPUs. GPUs of the known maker have registers for all k of a step. Those of an unknown
 * maker may lack them.
 */
export const makers = { known: "amd", unknown: "" };

/** A kernel broken on purpose. */
export interface Mutant {
  /** The fault. */
  readonly name: string;
  readonly variant: string;
  /** The file that contains the fault. */
  readonly file: string;
  /** The text to replace, at its first occurrence only. */
  readonly from: string | RegExp;
  readonly to: string;
  /** The check that must fail. Default: the comparison with the twin. */
  readonly check?: typeof matmulMatchesTwin;
  /**
   * Pretends to be a hardware GPU. The kernel for a `known` maker's GPU unrolls all k of a step,
   * that for an `unknown` maker's only four.
   */
  readonly hardware?: keyof typeof makers;
  /**
   * The name of the subgroup kernel's case that shows the fault. Default: the tiles chosen for the
   * examples.
   */
  readonly tile?: string;
}
