/** Keeping tuned choices in the user's cache. */
import type { GpuInfo } from "../../gpu/gpu_info.ts";
import {
  choiceKey,
  currentChoices,
  formatTuning,
  MAXIMUM_TUNING_ENTRIES,
  type TunedChoice,
} from "../../ops/tuning/choices.ts";
import { readTuning, type TuningPlace, tuningPlace } from "../../ops/tuning/file.ts";
import { systemReason } from "../../files/system_reason.ts";
import { writeTextFile } from "../../files/write.ts";

/** How long to wait for others that write, in ms. Writing takes a second at most. */
const PATIENCE = 20_000;

/**
 * Adds choices to those that are kept for an adapter, in place of older ones for the same calls.
 * What no longer holds is left out. The file is written whole, under a temporary name, and renamed;
 * of several processes that do so one after the other gets its turn, so that none undoes what
 * another one added.
 *
 * @param info the adapter
 * @param choices new ones
 * @param source the digest of the custom operator that they are for; undefined for the suite's
 * @returns the file
 * @throws {Error} if there is no cache folder, it cannot be written, or another process does not
 *   let go of it
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
    kept.delete(choiceKey(choice)); // to come last, where nothing is left out
    kept.set(choiceKey(choice), choice);
  }
  const text = formatTuning(place.identity, [...kept.values()].slice(-MAXIMUM_TUNING_ENTRIES));
  await removeUnlessFile(place.path);
  await writeTextFile(place.path, text);
  return place.path;
}

// The lock lies beside the folder, and stays: to remove it would let two processes hold locks on
// two files of one name. The system gives it back when the process ends, however it ends.
async function takeTurn({ folder }: TuningPlace): Promise<Deno.FsFile> {
  let file: Deno.FsFile;
  try {
    await Deno.mkdir(folder, { recursive: true });
    file = await Deno.open(`${folder}.lock`, { read: true, write: true, create: true });
  } catch (error) {
    throw new Error(`${folder}: cannot be written: ${systemReason(error)}`);
  }
  const start = performance.now();
  while (!await isFree(file)) {
    if (performance.now() - start > PATIENCE) {
      file.close();
      throw new Error(`${folder}: another process holds ${folder}.lock`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return file;
}

// Some network folders know no locks; what is written there is whole, too, and at the worst some
// choices are lost.
async function isFree(file: Deno.FsFile): Promise<boolean> {
  try {
    return await file.tryLock(true);
  } catch {
    return true;
  }
}

// Nothing is to be written through a link to somewhere else, or into a pipe. A folder stays, and is
// an error.
async function removeUnlessFile(path: string): Promise<void> {
  const { isFile, isDirectory } = await Deno.lstat(path)
    .catch(() => ({ isFile: true, isDirectory: false }));
  if (!isFile && !isDirectory) await Deno.remove(path);
}
