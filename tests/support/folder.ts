/** Runs tests with a temporary folder. */
import { type TestPermission, testWith } from "./permitted.ts";

/** Runs a test with a temporary folder. Removes the folder at the end, even if the test fails. */
export async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gradsink-test-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * A `Deno.test` with a temporary folder, for tests that read and write files.
 *
 * @param more permissions besides `read` and `write`
 */
export function testOnDisk(
  ...more: readonly TestPermission[]
): (name: string, run: (folder: string) => Promise<void>) => void {
  const test = testWith("read", "write", ...more);
  return (name, run) => test(name, () => inFolder(run));
}

/** The names of a folder's entries, sorted. */
export async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

/**
 * Runs a test as on a file system without locks, such as that of some network folders.
 *
 * @param run the test; no other test may run in this process at the same time
 */
export async function withoutLocks(run: () => Promise<void>): Promise<void> {
  const { lock, tryLock } = Deno.FsFile.prototype;
  const refuse = () => Promise.reject(new Deno.errors.NotSupported("no locks available"));
  Object.assign(Deno.FsFile.prototype, { lock: refuse, tryLock: refuse });
  try {
    await run();
  } finally {
    Object.assign(Deno.FsFile.prototype, { lock, tryLock });
  }
}
