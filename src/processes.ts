/** The command that starts another Deno process. */

export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * The command that starts another Deno: this executable if this process has the permission to run
 * it, else `deno`, to be found in PATH.
 */
export function thisDeno(): string {
  const self = Deno.execPath();
  const { state } = Deno.permissions.querySync({ name: "run", command: self });
  return state === "granted" ? self : "deno";
}
