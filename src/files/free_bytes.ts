/** How much room a disk has. */
import { statfs } from "node:fs/promises";

/**
 * The free bytes of a disk; needs `--allow-sys=statfs`.
 *
 * @param folder a folder on the disk
 * @returns undefined without that permission
 */
export async function freeBytes(folder: string): Promise<number | undefined> {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "statfs" });
  if (state !== "granted") return undefined;
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
