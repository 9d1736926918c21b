/** What a candidate for a ceiling is, and how much work it does. */
import type { Plan } from "../../../gpu/plan.ts";

/** One form of a ceiling's kernel. */
export interface Candidate {
  /** The form's description, for the result file. */
  readonly method: string;
  /** The plan of one run. */
  readonly plan: Plan;
  /** Units of work per run: operations, bytes or dispatches. */
  readonly work: number;
  /** Overwrites the output with a value that the kernel never writes. */
  readonly poison: () => void;
  /**
   * Reads the output and compares it with the known result.
   *
   * @param runs the number of runs since `poison`
   * @returns what is wrong; undefined if the result is right
   */
  readonly fault: (runs: number) => Promise<string | undefined>;
  /** Frees its buffers and its plan. */
  readonly dispose: () => void;
}

/** The amount of work in one dispatch of the ceilings' kernels. */
export interface CeilingSize {
  /** The number of invocations of an arithmetic kernel: a power of two, at least 2^12. */
  readonly invocations: number;
  /** The size of the copied buffer in bytes: a power of two. */
  readonly copyBytes: number;
}
