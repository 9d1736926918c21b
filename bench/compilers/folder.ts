/** The folder of the drivers. */
import { projectCacheFolder } from "../../src/files/cache_folder.ts";

/**
 * The drivers' folder if `--drivers` names none: a folder in the user's cache.
 *
 * @throws {Error} if the environment names no cache folder
 */
export function defaultDriversFolder(): string {
  const [HOME, XDG_CACHE_HOME] = ["HOME", "XDG_CACHE_HOME"].map((name) => Deno.env.get(name));
  return `${projectCacheFolder({ HOME, XDG_CACHE_HOME })}/compilers`;
}
