/** Turns a system error into a reason that a person can act on. */
export function systemReason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file or folder";
  if (error instanceof Deno.errors.NotCapable) {
    return `Deno was not given the permission (${error.message.replaceAll(/\s+/g, " ")})`;
  }
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "is a folder, wanted a file";
  if (error instanceof Deno.errors.NotADirectory) return "its folder is not a folder";
  return error instanceof Error ? error.message.replace(/ \(os error \d+\).*/, "") : String(error);
}
