/** The type of a mutant: a kernel broken on purpose. */
import type { Property } from "../check_cases.ts";

export interface Mutant {
  /** The fault. */
  readonly name: string;
  /** The kernel's file. */
  readonly file: string;
  readonly find: string;
  /** How often the kernel's source must contain `find`. Every occurrence is replaced. */
  readonly times: number;
  readonly replace: string;
  /** The property that must fail on the broken kernel. */
  readonly caughtBy: Property;
  /**
   * Whether the mutant runs only on request, because its kernel compiles slowly and another mutant
   * resembles it.
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
 * @param file a kernel, or a part that several kernels share
 * @param caughtBy the property that must fail, unless a mutant names another
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
