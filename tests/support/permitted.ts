/**
 * Tests that need permissions: without them a test is ignored, and its name says which flags it
 * lacks.
 */

/** A kind of permission, such as `read`, which must be granted without restrictions. */
export type TestPermission = "read" | "write" | "run" | "env" | "ffi" | "net" | "sys";

/** The flags that a test lacks, such as `["--allow-write"]`. Never prompts. */
export function missingFlags(permissions: readonly TestPermission[]): string[] {
  return permissions.filter((name) => Deno.permissions.querySync({ name }).state !== "granted")
    .map((name) => `--allow-${name}`);
}

/** A `Deno.test` for tests that need permissions. Adds missing flags to the test's name. */
export function testWith(
  ...permissions: readonly TestPermission[]
): (name: string, run: () => void | Promise<void>) => void {
  const missing = missingFlags(permissions);
  const note = missing.length === 0 ? "" : ` [needs ${missing.join(" ")}]`;
  return (name, run) => Deno.test({ name: `${name}${note}`, ignore: missing.length > 0, fn: run });
}
