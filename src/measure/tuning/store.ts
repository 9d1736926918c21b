/** Saves tuned choices in the user's cache. */
import type { GpuInfo } from "../../gpu/gpu_info.ts";
import {
  choiceKey,
  currentChoices,
  formatTuning,
  MAXIMUM_TUNING_ENTRIES,
  type TunedChoice,
} from "../../ops/tuning/choices.ts";
import { readTuning, type TuningPlace, tuningPlace } from "../../ops/tuning/file.ts";
import { tryLock } from "../../files/claim.ts";
import { systemReason } from "../../files/system_reason.ts";
import { writeTextFile } from "../../files/write.ts";

/** The longest wait for other writers, in ms. Writing takes at most a second. */
const PATIENCE = 20_000;

/**
 * Adds choices to an adapter's file, and replaces older ones for the same calls. It drops choices
 * that are no longer valid, and the earliest if there are too many. Where the file system has
 * locks, processes write one after the other, so none loses another one's choices.
 *
 * @param source the digest of the choices' custom operator; undefined for the suite's operators
 * @returns the file's path
 * @throws {Error} if there is no cache folder, or if the folder cannot be written or another
 *   process keeps it locked
 */
export async function storeTuning(
  info: GpuInfo,
  choices: readonly TunedChoice[],
  source?: string,
): Promise<string> {
  const place = await tuningPlace(info, source);
  if (place === undefined) {
    throw new Error(
      "find no cache folder: neither XDG_CACHE_HOME nor HOME is an absolute path, set one of them",
    );
  }
  using _lock = await takeTurn(place);
  const kept = await currentChoices(info, await readTuning(info, source));
  for (const choice of choices) {
    kept.delete(choiceKey(choice)); // re-added last: the earliest are dropped first
    kept.set(choiceKey(choice), choice);
  }
  const text = formatTuning(place.identity, [...kept.values()].slice(-MAXIMUM_TUNING_ENTRIES));
  await removeUnlessFile(place.path);
  await writeTextFile(place.path, text);
  return place.path;
}

// The lock file is next to the folder and is never removed. If it were, two processes could each
// lock a file of this name, one the removed file and one a new file. The system releases the lock
// when the process ends, however it ends. Where a network folder has no locks, files are still
// written whole; at worst some choices are lost.
async function takeTurn({ folder }: TuningPlace): Promise<Deno.FsFile> {
  let file: Deno.FsFile;
  try {
    await Deno.mkdir(folder, { recursive: true });
    file = await Deno.open(`${folder}.lock`, { read: true, write: true, create: true });
  } catch (error) {
    throw new Error(`${folder}: cannot be written: ${systemReason(error)}`);
  }
  const start = performance.now();
  while (!await tryLock(file)) {
    if (performance.now() - start > PATIENCE) {
      file.close();
      throw new Error(`${folder}: another process holds ${folder}.lock`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return file;
}

// Removes a link or a pipe, so that nothing is written through it. A folder stays, and writing then
// fails.
async function removeUnlessFile(path: string): Promise<void> {
  const { isFile, isDirectory } = await Deno.lstat(path)
    .catch(() => ({ isFile: true, isDirectory: false }));
  if (!isFile && !isDirectory) await Deno.remove(path);
}
