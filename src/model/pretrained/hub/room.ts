/** Checks that a disk has room for files. */
import { join } from "node:path";
import { freeBytes } from "../../../files/free_bytes.ts";
import { CheckpointError } from "../../checkpoint/error.ts";
import type { HubFile } from "./download.ts";

/**
 * Refuses files that the disk has no room for. Without the permission `--allow-sys=statfs` it does
 * not check.
 *
 * @param folder the files' folder, which may already hold some of them, whole or in part
 * @throws {CheckpointError} that says how much room there is and how much is needed
 */
export async function checkRoom(folder: string, files: readonly HubFile[]): Promise<void> {
  const free = await freeBytes(folder);
  if (free === undefined) return;
  const sizes = await Promise.all(
    files.map(async ({ name, size }) => {
      const [whole, part] = [
        await sizeOf(join(folder, name)),
        await sizeOf(join(folder, `${name}.part`)),
      ];
      return whole === size ? 0 : size - part;
    }),
  );
  const wanted = sizes.reduce((sum, size) => sum + Math.max(0, size), 0);
  if (wanted <= free) return;
  throw new CheckpointError(
    `${folder}: the disk has room for ${megabytes(free)}, wanted ${
      megabytes(wanted)
    } for the weights`,
  );
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch {
    return 0; // The file does not exist yet.
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
