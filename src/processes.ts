/** The command that starts another Deno process. */

export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
}

/** The command for another Deno: this executable if Deno may run it, else `deno` from the path. */
export function thisDeno(): string {
  const self = Deno.execPath();
  const { state } = Deno.permissions.querySync({ name: "run", command: self });
  return state === "granted" ? self : "deno";
}
