/** What a mutant of the matrix product is. */
import type { matmulMatchesTwin } from "../properties.ts";

/**
 * Makers of GPUs. The known maker's GPUs have enough registers to unroll a step's loop over k
 * completely. An unknown maker's GPUs may have too few.
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
   * Pretends to be a hardware GPU. For a `known` maker's GPU, the kernel unrolls a step's loop over
   * k completely; for an `unknown` maker's GPU, it unrolls four iterations.
   */
  readonly hardware?: keyof typeof makers;
  /**
   * The name of the subgroup kernel's case that shows the fault. Default: the tiles chosen for the
   * examples.
   */
  readonly tile?: string;
}
