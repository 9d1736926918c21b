/** The description of a mutant of the matrix product. */
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
   * Runs the mutant as if on a hardware GPU by this maker. For a `known` maker, the kernel unrolls
   * a step's loop over k completely; for an `unknown` maker, it unrolls four iterations.
   */
  readonly hardware?: keyof typeof makers;
  /**
   * The name of the case of subgroup_cases.ts whose tiles and operands show the fault. Default: the
   * examples of mutants_test.ts, with the tiles that the variant chooses for them.
   */
  readonly tile?: string;
}
