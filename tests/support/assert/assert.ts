/**
 * The assertions of `@std/assert`, which work even if JSR cannot be reached.
 *
 * A static `jsr:` import would stop every test on a machine behind a firewall. So the import is
 * dynamic, and falls back to a thin layer over Deno's built-in `node:assert/strict`.
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
