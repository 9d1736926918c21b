/** How much room a disk has. */
import { statfs } from "node:fs/promises";

/**
 * The bytes that a disk has room for, as far as it may be asked, which needs `--allow-sys=statfs`.
 *
 * @param folder on the disk
 * @returns undefined if it may not be asked
 */
export async function freeBytes(folder: string): Promise<number | undefined> {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "statfs" });
  if (state !== "granted") return undefined;
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
