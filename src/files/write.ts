/**
 * Writes files so that no reader ever sees half of one. The content goes to a temporary file in the
 * same folder and is flushed to the disk. Only then does the temporary file get the wanted name.
 */
import { basename, dirname, join } from "node:path";
import { FileError, fileError } from "./file_error.ts";
import { systemReason } from "./system_reason.ts";

/**
 * Writes text to a file, which may exist already.
 *
 * @param path the file, in an existing folder; a symbolic link is followed
 * @throws {FileError} if it cannot be written; the old file then stays unchanged
 */
export async function writeTextFile(path: string, text: string): Promise<void> {
  await write(path, text, Deno.rename);
}

/**
 * Writes text to a new file. If two programs create the same file at the same time, one of them
 * gets `false`.
 *
 * @param path the file, in an existing folder
 * @returns whether the file is new; an existing one stays unchanged
 * @throws {FileError} if it cannot be written
 */
export async function createTextFile(path: string, text: string): Promise<boolean> {
  let created = true;
  await write(path, text, async (temporary, target) => {
    try {
      // Unlike a rename, a link never replaces a file.
      await Deno.link(temporary, target);
    } catch (error) {
      // Some file systems have no links. There, create an empty file, which fails if the name is
      // taken, and then rename the temporary file over it.
      if (!(error instanceof Deno.errors.AlreadyExists)) {
        try {
          (await Deno.open(target, { write: true, createNew: true })).close();
          return await Deno.rename(temporary, target);
        } catch (second) {
          if (!(second instanceof Deno.errors.AlreadyExists)) throw second;
        }
      }
      created = false;
    }
    await Deno.remove(temporary).catch(() => {}); // A leftover harms nothing.
  });
  return created;
}

async function write(
  path: string,
  text: string,
  move: (temporary: string, target: string) => Promise<void>,
): Promise<void> {
  const target = await writableTarget(path);
  const temporary = join(
    dirname(target),
    `.${basename(target).slice(0, 100)}.${crypto.randomUUID().slice(0, 8)}.tmp`,
  );
  let created = false;
  try {
    {
      using output = await Deno.open(temporary, { write: true, createNew: true });
      created = true;
      const bytes = new TextEncoder().encode(text);
      for (let offset = 0; offset < bytes.length;) {
        offset += await output.write(bytes.subarray(offset));
      }
      await output.sync();
    }
    await move(temporary, target);
  } catch (error) {
    if (created) await Deno.remove(temporary).catch(() => {}); // The first error matters more.
    throw fileError(path, `cannot be written: ${systemReason(error)}`);
  }
}

/**
 * Checks that a file can be written, before the long work whose result it will hold. Creates the
 * file's folder.
 *
 * @throws {FileError} if the path is empty, a folder or a device, or if its folder cannot be
 *   created or written to
 */
export async function checkWritable(path: string): Promise<void> {
  const target = await writableTarget(path);
  try {
    await Deno.mkdir(dirname(target), { recursive: true });
  } catch (error) {
    const reason = error instanceof Deno.errors.AlreadyExists ||
        error instanceof Deno.errors.NotADirectory
      ? "its folder is not a folder"
      : systemReason(error);
    throw fileError(path, `cannot be written: ${reason}`);
  }
  // Write a file to find out: permission bits say little on network folders, in containers and for
  // the superuser.
  const probe = join(dirname(target), `.${crypto.randomUUID()}.tmp`);
  try {
    (await Deno.open(probe, { write: true, createNew: true })).close();
    await Deno.remove(probe);
  } catch (error) {
    throw fileError(path, `cannot be written: ${systemReason(error)}`);
  }
}

/** Resolves symbolic links in a path, because a rename would replace the link, not its target. */
async function writableTarget(path: string): Promise<string> {
  if (path === "") throw fileError('""', "cannot be written: the name is empty");
  try {
    const target = await Deno.realPath(path);
    const { isFile, isDirectory } = await Deno.stat(target);
    if (isDirectory) throw fileError(path, "cannot be written: is a folder, wanted a file");
    if (!isFile) throw fileError(path, "cannot be written: is not a regular file");
    return target;
  } catch (error) {
    if (error instanceof FileError) throw error;
    // A file that does not exist yet is fine. If its folder is missing, creating the file fails.
    if (error instanceof Deno.errors.NotFound && !/[/\\]$/.test(path)) return path;
    throw fileError(path, `cannot be written: ${systemReason(error)}`);
  }
}

/**
 * Creates a folder and its parents.
 *
 * @param path the folder; it may exist already
 * @throws {FileError} if it cannot be created
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw fileError(path, `cannot be made: ${systemReason(error)}`);
  }
}
