/**
 * Finds the user's folder. `deno task` starts a command in the project's folder, but a user's paths
 * are relative to the folder in which the user called it.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "./usage_error.ts";

/** The variable in which `deno task` stores the folder it was called in. */
const CALLED_IN = "INIT_CWD";

/**
 * Changes to the folder in which the user called `deno task`. A command that runs without `deno
 * task` is in the user's folder already.
 *
 * @throws {Error} if a permission to find that folder is missing
 */
export function enterUserFolder(): void {
  const { state } = Deno.permissions.querySync({ name: "env", variable: CALLED_IN });
  const folder = state === "granted" ? Deno.env.get(CALLED_IN) : undefined;
  if (folder === undefined || !import.meta.url.startsWith("file:")) return;
  // Use the variable only in the project's folder, where `deno task` starts. Elsewhere it may come
  // from an outer task, such as an npm script.
  const project = fileURLToPath(new URL("../../../", import.meta.url));
  if (Deno.realPathSync(Deno.cwd()) === Deno.realPathSync(project)) Deno.chdir(folder);
}

/**
 * Writes the `deno run` command that starts the running program. A user can add Deno's flags to
 * that command, but not to `deno task`, which does not pass them on. Returns undefined if `deno
 * task` did not start the program, or if the program is not a local file.
 */
export function startWithFlags(): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: CALLED_IN });
  if (state !== "granted" || Deno.env.get(CALLED_IN) === undefined) return undefined;
  const program = Deno.mainModule;
  return program.startsWith("file:")
    ? `deno run -A ${JSON.stringify(fileURLToPath(program))}`
    : undefined;
}

/**
 * Makes a path from the command line absolute, so messages and files say exactly which path was
 * meant. Without permission to know the current folder, the path stays as it is.
 *
 * @param path the given path, or its `file:` URL
 * @throws {UsageError} if the path begins with a `~`, or a URL is not of a local file
 */
export function absolutePath(path: string): string {
  if (/^~([/\\]|$)/.test(path)) {
    throw new UsageError(
      `the path ${JSON.stringify(path)} begins with ~, which shells replace only where a word ` +
        `begins: wanted the whole path, or ./${path} for a folder of that name`,
    );
  }
  try {
    return resolve(/^file:\/\//i.test(path) ? pathOfUrl(path) : path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return path;
    throw error;
  }
}

function pathOfUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    throw new UsageError(`${JSON.stringify(url)} is no file's URL here: wanted a path`);
  }
}
