/**
 * The folder that the user is in. `deno task` starts a command in the project's folder, wherever
 * the user called it; paths of the command line are meant from the user's.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The variable in which `deno task` says where it was called. */
const CALLED_IN = "INIT_CWD";

/**
 * Goes to the folder that the user called `deno task` in. Does nothing in a command that was
 * started without it: then the current folder is the user's already.
 *
 * @throws {Error} if the permissions do not say where that is
 */
export function enterUserFolder(): void {
  const { state } = Deno.permissions.querySync({ name: "env", variable: CALLED_IN });
  const folder = state === "granted" ? Deno.env.get(CALLED_IN) : undefined;
  if (folder === undefined || !import.meta.url.startsWith("file:")) return;
  // Tasks start in the project's folder. The variable may belong to an outer task, such as one of
  // npm's.
  const project = fileURLToPath(new URL("../../../", import.meta.url));
  if (Deno.realPathSync(Deno.cwd()) === Deno.realPathSync(project)) Deno.chdir(folder);
}

/**
 * A path of the command line as messages show it and files keep it, so that it says where something
 * was looked for.
 *
 * @param path as given
 * @returns the absolute path; the same path where the permission to know the current folder is
 *   missing
 */
export function absolutePath(path: string): string {
  try {
    return resolve(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return path;
    throw error;
  }
}
