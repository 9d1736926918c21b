/**
 * An open safetensors file. Opening reads only its header; tensors or parts of them are read on
 * demand.
 */
import { CheckpointError } from "../error.ts";
import { absenceOf, LFS_POINTER, LFS_PROBLEM, reasonOf } from "../json.ts";
import { parseHeader, quoted, type TensorEntry } from "./header.ts";
import {
  bytesPerNumber,
  FLOAT_TYPES,
  type FloatType,
  isFloatType,
  storedPart,
  widen,
} from "./types.ts";

/** The longest header that the format allows. */
const MOST_HEADER_BYTES = 100_000_000;

/** A range of a tensor's elements, in the order in which they are stored. */
export interface ElementRange {
  readonly start: number;
  readonly count: number;
}

/** An open file. */
export class TensorFile implements Disposable {
  readonly path: string;
  /** The entries by name, in the order in which the tensors are stored. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly #file: Deno.FsFile;
  /** The offset of the tensors' bytes. */
  readonly #start: number;
  /** The last requested read. Reads must wait for each other, because a file has one position. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    path: string,
    { file, start, entries }: {
      readonly file: Deno.FsFile;
      readonly start: number;
      readonly entries: readonly TensorEntry[];
    },
  ) {
    this.path = path;
    this.#file = file;
    this.#start = start;
    this.entries = new Map(entries.map((entry) => [entry.name, entry]));
  }

  /**
   * Opens a file and reads its header.
   *
   * @param path a regular file
   * @throws {CheckpointError} if it cannot be read or is not a complete safetensors file
   */
  static async open(path: string): Promise<TensorFile> {
    const fail = (problem: string): never => {
      throw new CheckpointError(`${path}: ${problem}`);
    };
    let file: Deno.FsFile | undefined;
    try {
      // Check this first: opening a pipe would wait for its other end.
      if (!(await Deno.stat(path)).isFile) return fail("is not a regular file");
      file = await Deno.open(path, { read: true });
      const { size } = await file.stat();
      if (size < 8) {
        return fail(`has ${size} bytes, too few for a safetensors file: fetch it again`);
      }
      const first = await readExactly(file, new Uint8Array(Math.min(size, LFS_POINTER.length)));
      if (new TextDecoder().decode(first) === LFS_POINTER) return fail(LFS_PROBLEM);
      const length = new DataView(first.buffer).getBigUint64(0, true);
      if (length > BigInt(Math.min(MOST_HEADER_BYTES, size - 8))) {
        return fail(
          `says that its header has ${length} bytes, but the file has ${size}: it is incomplete, or no ` +
            "safetensors file",
        );
      }
      await file.seek(8, Deno.SeekMode.Start);
      const header = await readExactly(file, new Uint8Array(Number(length)));
      const start = 8 + header.length;
      const entries = parseHeader(header, { size: size - start, fail });
      const opened = new TensorFile(path, { file, start, entries });
      file = undefined;
      return opened;
    } catch (error) {
      if (error instanceof CheckpointError) throw error;
      if (error instanceof Deno.errors.NotFound) return fail(await absenceOf(path));
      return fail(`cannot be read: ${reasonOf(error)}`);
    } finally {
      file?.close();
    }
  }

  typeOf(name: string): FloatType {
    const { type } = this.entries.get(name)!;
    if (isFloatType(type)) return type;
    throw new CheckpointError(
      `${this.path}: ${quoted(name)} is of type ${quoted(type)}, wanted one of ${
        FLOAT_TYPES.join(", ")
      }: convert it, for example with transformers, from_pretrained(…, dtype=torch.bfloat16) and save_pretrained(…)`,
    );
  }

  /**
   * Reads elements of a tensor.
   *
   * @param name an entry's name
   * @param range the elements to read; all of them by default
   * @param into the array to fill, as long as the range; a new one by default
   * @returns the elements in float32, exactly
   * @throws {CheckpointError} if the file cannot be read, or the type is not supported
   */
  async read(
    name: string,
    range?: ElementRange,
    into?: Float32Array<ArrayBuffer>,
  ): Promise<Float32Array<ArrayBuffer>> {
    const type = this.typeOf(name);
    const { start, end } = this.entries.get(name)!;
    const size = bytesPerNumber(type);
    const { start: first, count } = range ?? { start: 0, count: (end - start) / size };
    const numbers = into ?? new Float32Array(count);
    await this.readBytes(storedPart(numbers, type), start + first * size);
    return widen(numbers, type);
  }

  /**
   * Reads the bits of elements of 16 bits, without converting them.
   *
   * @param name an entry's name
   * @param first the first element
   * @param into the array to fill
   * @throws {RangeError} if the type has more than 16 bits
   * @throws {CheckpointError} if the file cannot be read, or the type is not supported
   */
  async readBits(name: string, first: number, into: Uint16Array<ArrayBuffer>): Promise<void> {
    const type = this.typeOf(name);
    if (bytesPerNumber(type) !== 2) {
      throw new RangeError(`TensorFile.readBits: ${name} is ${type}, wanted a type of 16 bits`);
    }
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    await this.readBytes(bytes, this.entries.get(name)!.start + 2 * first);
  }

  /**
   * Reads raw bytes.
   *
   * @param bytes the array to fill
   * @param offset the first byte, counted from the end of the header
   * @throws {CheckpointError} if the file cannot be read
   */
  readBytes(bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<Uint8Array<ArrayBuffer>> {
    const read = this.#last.then(async () => {
      try {
        await this.#file.seek(this.#start + offset, Deno.SeekMode.Start);
        return await readExactly(this.#file, bytes);
      } catch (error) {
        throw new CheckpointError(`${this.path}: cannot be read: ${reasonOf(error)}`);
      }
    });
    this.#last = read.catch(() => {});
    return read;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Reads until the array is full. */
async function readExactly(
  file: Deno.FsFile,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  for (let offset = 0; offset < bytes.length;) {
    const count = await file.read(bytes.subarray(offset));
    if (count === null) throw new Error("it ended while it was read");
    offset += count;
  }
  return bytes;
}
