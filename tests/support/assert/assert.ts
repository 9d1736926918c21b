/**
 * The assertions of `@std/assert`, or of fallback.ts where JSR cannot be reached.
 *
 * The import is dynamic, because a static one would stop every test where JSR cannot be reached.
 */
import * as fallback from "./fallback.ts";

const library: typeof fallback = await (import("@std/assert") as Promise<unknown>).then(
  (module) => module as typeof fallback,
  () => fallback,
);

export const assert: typeof fallback.assert = library.assert;
export const assertEquals: typeof fallback.assertEquals = library.assertEquals;
export const assertNotEquals: typeof fallback.assertNotEquals = library.assertNotEquals;
export const assertThrows: typeof fallback.assertThrows = library.assertThrows;
export const assertRejects: typeof fallback.assertRejects = library.assertRejects;
export const assertStringIncludes: typeof fallback.assertStringIncludes =
  library.assertStringIncludes;
