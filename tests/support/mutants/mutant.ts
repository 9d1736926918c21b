/** The form of a mutant: a kernel broken on purpose. */
import type { Property } from "../check_cases.ts";

/** A broken kernel. */
export interface Mutant {
  /** What is wrong with it. */
  readonly name: string;
  /** The kernel's file. */
  readonly file: string;
  /** What is replaced. */
  readonly find: string;
  /** How often that occurs; each occurrence is replaced. */
  readonly times: number;
  readonly replace: string;
  /** The property that must not survive it. */
  readonly caughtBy: Property;
  /**
   * Whether to leave the mutant out unless asked for: its kernel compiles slowly and resembles
   * another mutant of it.
   */
  readonly thorough: boolean;
}

/** A mutant of a known file. */
export type Change = readonly [name: string, find: string, replace: string, options?: {
  readonly times?: number;
  readonly caughtBy?: Property;
  readonly thorough?: boolean;
}];

/**
 * The mutants of one file.
 *
 * @param file a kernel, or a part of several
 * @param caughtBy the property that must not survive them, unless a mutant names another
 * @param changes what is broken
 */
export function mutantsOf(
  file: string,
  caughtBy: Property,
  changes: readonly Change[],
): Mutant[] {
  return changes.map(([name, find, replace, options]) => ({
    name,
    file,
    find,
    replace,
    times: options?.times ?? 1,
    caughtBy: options?.caughtBy ?? caughtBy,
    thorough: options?.thorough ?? false,
  }));
}
