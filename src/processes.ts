/** How this project starts other processes. */

/** How to start a process. */
export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * The command that starts another Deno: the program itself, where running it was allowed; else
 * whatever deno the system finds.
 */
export function thisDeno(): string {
  const self = Deno.execPath();
  const { state } = Deno.permissions.querySync({ name: "run", command: self });
  return state === "granted" ? self : "deno";
}
