/**
 * Downloads one file from a hub. Continues an earlier attempt, and compares the file with the hub's
 * digest.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { CheckpointError } from "../../checkpoint/error.ts";
import { reasonOf } from "../../checkpoint/json.ts";
import { PassingError } from "./access.ts";

/** The hub's description of a file. */
export interface HubFile {
  readonly name: string;
  readonly size: number;
  /** SHA-256 of the file's content, or SHA-1 of the file's Git object. */
  readonly digest: { readonly type: "sha256" | "git-sha1"; readonly value: string };
}

/** Options of {@linkcode downloadFile}. */
export interface DownloadOptions {
  /** The path of the finished file. */
  readonly path: string;
  /** The path of the unfinished file, in an existing folder. */
  readonly partial: string;
  /**
   * Reads the file's bytes from an offset on.
   *
   * @throws {PassingError} if another attempt may succeed
   */
  readonly read: (offset: number) => Promise<ReadableStream<Uint8Array>>;
  /** The last request's error, if that request failed. It says more than the stream's error. */
  readonly failure: () => Error | undefined;
  /** Called with the number of the file's bytes that are on disk. */
  readonly onProgress: (bytes: number) => void;
  /** Waits before a further attempt. */
  readonly delay: (ms: number) => Promise<void>;
  /** How long a download waits for its next bytes before it tries again, in ms. */
  readonly patience: number;
}

/** After this many attempts in a row without a further byte, a download gives up. */
const ATTEMPTS = 5;
const FIRST_DELAY = 500;

/**
 * Downloads a file.
 *
 * @throws {CheckpointError} if the file does not arrive whole, cannot be written, or has another
 *   digest than the hub names. The bytes that arrived stay on disk for a later call, unless the
 *   digest is wrong.
 */
export async function downloadFile(file: HubFile, options: DownloadOptions): Promise<void> {
  const { path, partial } = options;
  for (const again of [true, false]) {
    await fetchAll(file, options);
    if (await digestOf(partial, file) === file.digest.value) {
      await Deno.mkdir(dirname(path), { recursive: true });
      return await Deno.rename(partial, path);
    }
    // An earlier attempt may have left bytes of other content. So start over, but only once.
    await Deno.remove(partial);
    if (again) continue;
  }
  throw new CheckpointError(
    `${file.name}: what comes is not the file that the hub describes: its ${file.digest.type} is another, twice`,
  );
}

async function fetchAll(
  file: HubFile,
  { partial, read, failure: told, onProgress, delay, patience }: DownloadOptions,
): Promise<void> {
  let have = await sizeOf(partial);
  if (have > file.size) {
    await Deno.remove(partial);
    have = 0;
  }
  onProgress(have);
  // The most bytes that any attempt reached. Only an attempt that gets further resets the count of
  // attempts. Otherwise a hub that always starts over would be asked forever.
  let best = have;
  for (let attempt = 0; have < file.size || have === 0;) {
    let failure: PassingError | undefined;
    try {
      have = await append(partial, {
        name: file.name,
        stream: await read(have),
        have,
        size: file.size,
        onProgress,
        patience,
        told,
      });
      if (have === file.size) return; // An empty file ends here too.
    } catch (error) {
      if (!(error instanceof PassingError)) throw error;
      failure = error;
      have = await sizeOf(partial);
    }
    attempt = have > best ? 0 : attempt + 1;
    best = Math.max(best, have);
    if (attempt === ATTEMPTS) {
      throw new CheckpointError(
        `${
          failure?.message ?? `${file.name}: the connection ends`
        } (${have} of ${file.size} bytes of ` +
          `${file.name} are there; the next run goes on from them)`,
      );
    }
    await delay(FIRST_DELAY * 2 ** attempt);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

async function append(
  path: string,
  { name, stream, have, size, onProgress, patience, told }: {
    readonly name: string;
    readonly stream: ReadableStream<Uint8Array>;
    readonly have: number;
    readonly size: number;
    readonly onProgress: (bytes: number) => void;
    readonly patience: number;
    readonly told: () => Error | undefined;
  },
): Promise<number> {
  using file = await openForWriting(path);
  await file.seek(have, Deno.SeekMode.Start);
  const reader = stream.getReader();
  let offset = have;
  try {
    for (;;) {
      const { done, value } = await withPatience(reader.read(), { patience, name, told });
      if (done) return offset;
      if (offset + value.length > size) {
        // Perhaps the answer began at the start of the file instead of the requested offset. The
        // bytes on disk are then wrong, so drop them all.
        await file.truncate(0);
        throw new PassingError(
          `${name}: more comes than the ${size} bytes that the hub says it has`,
        );
      }
      await writeAll(file, value, path);
      offset += value.length;
      onProgress(offset);
    }
  } finally {
    // Ignore a failure to cancel: it would hide the error that led here.
    await reader.cancel().catch(() => {});
  }
}

async function openForWriting(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { write: true, create: true });
  } catch (error) {
    throw new CheckpointError(`${path}: cannot be written: ${reasonOf(error)}`);
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array, path: string): Promise<void> {
  try {
    for (let offset = 0; offset < bytes.length;) {
      offset += await file.write(bytes.subarray(offset));
    }
  } catch (error) {
    throw new CheckpointError(`${path}: cannot be written: ${reasonOf(error)}`);
  }
}

async function withPatience<Value>(
  pending: Promise<Value>,
  { patience, name, told }: {
    readonly patience: number;
    readonly name: string;
    readonly told: () => Error | undefined;
  },
): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new PassingError(`${name}: nothing comes for ${patience / 1000} s`)),
      patience,
    );
  });
  try {
    return await Promise.race([pending, silence]);
  } catch (error) {
    if (error instanceof PassingError) throw error;
    throw told() ??
      new PassingError(`${name}: the connection breaks: ${reasonOf(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

/** The bytes to hash at a time. */
const SLICE_BYTES = 2 ** 22;

async function digestOf(path: string, { size, digest }: HubFile): Promise<string> {
  const hash = createHash(digest.type === "sha256" ? "sha256" : "sha1");
  // Git hashes an object's kind and length before its content.
  if (digest.type === "git-sha1") hash.update(`blob ${size}\0`);
  using file = await Deno.open(path, { read: true });
  const slice = new Uint8Array(SLICE_BYTES);
  for (;;) {
    const count = await file.read(slice);
    if (count === null) return hash.digest("hex");
    hash.update(slice.subarray(0, count));
  }
}
