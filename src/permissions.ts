/** Asks for permissions before acting, and names all missing ones at once. */

/** One permission that a step needs. */
export interface PermissionNeed {
  readonly name: "read" | "write" | "ffi" | "env" | "net";
  /** A path for `read`, `write` and `ffi`, a variable for `env`, a host for `net`. */
  readonly value: string;
}

/** The environment variables that locate the cache folders. */
export const FOLDER_VARIABLES = ["HOME", "XDG_CACHE_HOME", "DENO_DIR"] as const;

/** The variables that point a Vulkan loader at a driver: the current name and the old one. */
export const DRIVER_VARIABLES = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] as const;

function descriptorOf({ name, value }: PermissionNeed): Deno.PermissionDescriptor {
  if (name === "env") return { name, variable: value };
  return name === "net" ? { name, host: value } : { name, path: value };
}

function granted(need: PermissionNeed): boolean {
  return Deno.permissions.querySync(descriptorOf(need)).state === "granted";
}

/**
 * Lists the command-line flags that grant permissions, one flag for each kind.
 *
 * @returns for example `["--allow-env=HOME,DENO_DIR", "--allow-read=/home/me/.cache/gradsink"]`
 */
export function permissionFlags(needs: readonly PermissionNeed[]): string[] {
  const values = new Map<PermissionNeed["name"], string[]>();
  for (const { name, value } of needs) {
    // Deno reads a doubled comma as a comma inside the path.
    const listed = value.replaceAll(",", ",,");
    const list = values.get(name) ?? [];
    if (!list.includes(listed)) list.push(listed);
    values.set(name, list);
  }
  return [...values].map(([name, list]) => `--allow-${name}=${list.join(",")}`);
}

/**
 * Lists the flags of {@linkcode permissionFlags} for a message, quoted for a shell where needed.
 * `$HOME` at the beginning of a path stays a variable.
 *
 * @returns for example `--allow-env=HOME "--allow-read=/home/my name/.cache/gradsink"`
 */
export function typedPermissionFlags(needs: readonly PermissionNeed[]): string {
  // All paths are absolute, so a value that begins with `$HOME/` means the variable. It stays
  // outside the quotes that `quoted` adds, and the shell expands it.
  return permissionFlags(needs)
    .map((flag) => flag.split(/(?<=[^,][=,])\$HOME(?=\/)/).map(quoted).join('"$HOME"')).join(" ");
}

// Double quotes work in every shell. Between them, POSIX shells still expand `$` and a few other
// characters, so flags with these get single quotes, between which nothing is expanded.
function quoted(flag: string): string {
  if (/^[\p{L}\p{N}_@%+=:,./-]*$/u.test(flag)) return flag;
  return Deno.build.os === "windows" || !/["$`\\!]/.test(flag)
    ? `"${flag}"`
    : `'${flag.replaceAll("'", "'\\''")}'`;
}

/**
 * Throws unless every permission is granted already. Never prompts.
 *
 * @param options.action what needs the permissions; the message begins with it
 * @throws {Deno.errors.NotCapable} that names every flag that is missing
 */
export function requirePermissions(
  needs: readonly PermissionNeed[],
  options: { readonly action: string },
): void {
  const missing = needs.filter((need) => !granted(need));
  if (missing.length === 0) return;
  throw new Deno.errors.NotCapable(
    `${options.action}: missing permission, run again with ${typedPermissionFlags(missing)}`,
  );
}

/** Tells whether all permissions are granted, without asking for them. */
export function hasPermissions(needs: readonly PermissionNeed[]): boolean {
  return needs.every(granted);
}

/**
 * Asks the user for missing permissions, if there is a terminal.
 *
 * @param options.action what needs the permissions; the message begins with it
 * @throws {Deno.errors.NotCapable} that names every missing flag, if the user refuses or cannot be
 *   asked
 */
export async function askPermissions(
  needs: readonly PermissionNeed[],
  options: { readonly action: string },
): Promise<void> {
  for (const need of needs) {
    if (!granted(need)) await Deno.permissions.request(descriptorOf(need));
  }
  requirePermissions(needs, options);
}
