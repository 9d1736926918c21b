/** Keeping tuned choices in the user's cache. */
import type { GpuInfo } from "../gpu/gpu_info.ts";
import {
  choiceKey,
  formatTuning,
  isCurrent,
  MAXIMUM_TUNING_BYTES,
  type TunedChoice,
} from "../ops/tuned_choices.ts";
import { readTuning, tuningPlace } from "../ops/tuning_file.ts";
import { writeTextFile } from "./result_file_store.ts";

/**
 * Adds choices to those that are kept for an adapter, in place of older ones for the same calls. What no longer holds
 * is left out. The file is written whole, under a temporary name, and renamed.
 *
 * @param info the adapter
 * @param choices new ones
 * @returns the file
 * @throws {Error} if there is no cache folder, or it cannot be written
 */
export async function storeTuning(
  info: GpuInfo,
  choices: readonly TunedChoice[],
): Promise<string> {
  const place = await tuningPlace(info);
  if (place === undefined) {
    throw new Error(
      "find no cache folder: neither XDG_CACHE_HOME nor HOME is an absolute path, set one of them",
    );
  }
  const kept = new Map<string, TunedChoice>();
  for (const choice of await readTuning(info)) {
    if (await isCurrent(info, choice)) kept.set(choiceKey(choice), choice);
  }
  for (const choice of choices) kept.set(choiceKey(choice), choice);
  const text = formatTuning(place.identity, [...kept.values()]);
  if (text.length > MAXIMUM_TUNING_BYTES) {
    throw new Error(`${place.path} would be larger than what is read; delete it`);
  }
  await Deno.mkdir(place.folder, { recursive: true });
  await writeTextFile(place.path, text);
  return place.path;
}
