/** Finds and reads an adapter's tuned choices. `src/measure/tuning/store.ts` writes them. */
import { projectCacheFolder } from "../../files/cache_folder.ts";
import { hasPermissions } from "../../permissions.ts";
import type { GpuInfo } from "../../gpu/gpu_info.ts";
import {
  type AdapterIdentity,
  adapterIdentity,
  MAXIMUM_TUNING_BYTES,
  parseTuning,
  type TunedChoice,
  tuningFileName,
} from "./choices.ts";

/** The environment variable that turns tuned choices off: `GRADSINK_TUNING=off`. */
export const TUNING_VARIABLE = "GRADSINK_TUNING";

/** Where an adapter's choices are stored. */
export interface TuningPlace {
  readonly folder: string;
  /** The file in the folder. */
  readonly path: string;
  readonly identity: AdapterIdentity;
}

// Reads an environment variable without a prompt. Returns undefined if it is not set, if the
// permission is missing, or if the value is not UTF-8, for which Deno throws.
function readVariable(name: string): string | undefined {
  if (!hasPermissions([{ name: "env", value: name }])) return undefined;
  try {
    return Deno.env.get(name);
  } catch {
    return undefined;
  }
}

/** Whether the environment says `GRADSINK_TUNING=off`. False in browsers. */
export function isTuningOff(): boolean {
  return typeof Deno !== "undefined" && readVariable(TUNING_VARIABLE) === "off";
}

/**
 * Where an adapter's choices are stored in the user's cache: in one file for this library's own
 * operators, and in one more file for each custom operator.
 *
 * @param source the digest of a custom operator; undefined for this library's own operators
 * @returns the place, where no file may exist yet; undefined if there is no cache: in browsers, or
 *   if neither HOME nor XDG_CACHE_HOME can be read and is an absolute path
 */
export async function tuningPlace(
  info: GpuInfo,
  source?: string,
): Promise<TuningPlace | undefined> {
  if (typeof Deno === "undefined" || info.runtime === "browser") return undefined;
  const identity = {
    ...adapterIdentity(info, Deno.version.deno),
    ...source === undefined ? {} : { source },
  };
  try {
    const HOME = readVariable("HOME");
    const XDG_CACHE_HOME = readVariable("XDG_CACHE_HOME");
    const folder = `${projectCacheFolder({ HOME, XDG_CACHE_HOME })}/tuning`;
    return { folder, path: `${folder}/${await tuningFileName(identity)}`, identity };
  } catch {
    return undefined;
  }
}

/**
 * Reads an adapter's tuned choices. It never prompts or throws: an unreadable or wrong file gives
 * no choices.
 *
 * @param source the digest of a custom operator, as for {@linkcode tuningPlace}
 * @returns well-formed choices; `isCurrent` tells whether they are still valid
 */
export async function readTuning(info: GpuInfo, source?: string): Promise<TunedChoice[]> {
  const place = await tuningPlace(info, source);
  if (place === undefined || !hasPermissions([{ name: "read", value: place.path }])) return [];
  try {
    // If the path is a pipe, opening it would wait for a writer: open only a regular file.
    const { isFile, size } = await Deno.stat(place.path);
    if (!isFile || size > MAXIMUM_TUNING_BYTES) return [];
    const bytes = await readAtMost(place.path, MAXIMUM_TUNING_BYTES + 1);
    if (bytes.length > MAXIMUM_TUNING_BYTES) return [];
    return parseTuning(new TextDecoder("utf-8", { fatal: true }).decode(bytes), place.identity);
  } catch {
    return [];
  }
}

// Reads at most `limit` bytes, because the file may have grown since its size was checked.
async function readAtMost(path: string, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path, { read: true });
  const bytes = new Uint8Array(limit);
  let length = 0;
  while (length < limit) {
    const count = await file.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return bytes.subarray(0, length);
}
