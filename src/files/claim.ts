/** Claims a file for one process at a time, such as a result file that a run adds to. */
import { basename, dirname, join } from "node:path";
import { fileError } from "./file_error.ts";
import { systemReason } from "./system_reason.ts";

/**
 * Claims a file, by a lock on a hidden file beside it. If the process is killed, the system
 * releases the lock; the hidden file stays, and harms nothing.
 *
 * @param path an existing file; a symbolic link is followed
 * @returns the claim, which ends when it is disposed of; undefined if there is another claim
 * @throws {FileError} if the file does not exist, or nothing can be written to its folder
 */
export async function claimFile(path: string): Promise<Disposable | undefined> {
  try {
    const target = await Deno.realPath(path);
    const lock = join(dirname(target), `.${basename(target).slice(0, 100)}.lock`);
    // Try again if another process removed the hidden file before this one locked it.
    while (true) {
      const file = await Deno.open(lock, { read: true, write: true, create: true });
      if (!await tryLock(file)) {
        file.close();
        return undefined;
      }
      if (await isAt(file, lock)) {
        return {
          [Symbol.dispose]() {
            removeIfThere(lock); // Before `close` unlocks it for another process.
            file.close();
          },
        };
      }
      file.close();
    }
  } catch (error) {
    throw fileError(path, `cannot be locked: ${systemReason(error)}`);
  }
}

/**
 * Locks a file for this process alone, if no other process holds its lock. Does not wait. Some
 * network folders do not support locks; there it returns true without a lock.
 *
 * @param file the file, open for writing
 * @returns false if another process holds its lock
 */
export async function tryLock(file: Deno.FsFile): Promise<boolean> {
  try {
    return await file.tryLock(true);
  } catch {
    return true;
  }
}

/**
 * Waits until this process alone holds a file's lock. Returns at once if locks are not supported.
 *
 * @param file the file, open for writing
 */
export async function waitForLock(file: Deno.FsFile): Promise<void> {
  try {
    await file.lock(true);
  } catch {
    // As in tryLock(): if the folder does not support locks, go on without one.
  }
}

// Whether an open file is still at its path: a lock on a removed file keeps no other process out.
async function isAt(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    const [own, there] = await Promise.all([file.stat(), Deno.lstat(path)]);
    return own.ino === there.ino && own.dev === there.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Windows does not remove an open file. A hidden file that stays is harmless.
  }
}
