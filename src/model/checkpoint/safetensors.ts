/**
 * The safetensors format: the length of a JSON header in 8 bytes, the header, then the tensors' bytes
 * without a gap. Files may come from strangers, so that nothing in one is believed before it is checked,
 * and no more is read than the file has.
 *
 * Source: https://github.com/huggingface/safetensors, "Format". Of its types only F32 is taken.
 */
import { CheckpointError } from "./error.ts";

/** A tensor of a file. */
export interface NamedTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** Where a tensor's bytes stand, counted from the end of the header. */
interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** The format's own limit. */
const MOST_HEADER_BYTES = 100_000_000;
const METADATA = "__metadata__";

/**
 * The bytes of a file, in pieces to write one after the other.
 *
 * @param tensors by name; the order is kept
 * @param metadata texts by name, for readers
 */
export function* safetensorsPieces(
  tensors: ReadonlyMap<string, NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array<ArrayBuffer>> {
  const entries: [string, unknown][] = [[METADATA, { format: "pt", ...metadata }]];
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    const end = offset + data.byteLength;
    entries.push([name, { dtype: "F32", shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = JSON.stringify(Object.fromEntries(entries));
  // The tensors begin at a multiple of 8.
  const header = new TextEncoder().encode(json);
  const padded = new Uint8Array(Math.ceil(header.length / 8) * 8).fill(0x20);
  padded.set(header);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  yield length;
  yield padded;
  for (const { data } of tensors.values()) {
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
}

/**
 * Reads a file.
 *
 * @param path of a regular file
 * @returns its tensors by name
 * @throws {CheckpointError} if it cannot be read, is no such file or not a whole one, or holds other types
 */
export async function readSafetensors(path: string): Promise<Map<string, NamedTensor>> {
  const fail = (problem: string): never => {
    throw new CheckpointError(`${path}: ${problem}`);
  };
  try {
    using file = await Deno.open(path, { read: true });
    const { size, isFile } = await file.stat();
    if (!isFile) return fail("is not a regular file");
    if (size < 8) return fail(`has ${size} bytes, too few for a safetensors file`);
    const length = new DataView((await readBytes(file, 8)).buffer).getBigUint64(0, true);
    if (length > BigInt(Math.min(MOST_HEADER_BYTES, size - 8))) {
      return fail(`says that its header has ${length} bytes, but the file has ${size}`);
    }
    const header = await readBytes(file, Number(length));
    const entries = entriesOf(header, size - 8 - header.length, fail);
    const tensors = new Map<string, NamedTensor>();
    for (const { name, shape, start, end } of entries) {
      const bytes = await readBytes(file, end - start);
      tensors.set(name, { shape, data: new Float32Array(bytes.buffer) });
    }
    return tensors;
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    if (error instanceof Deno.errors.NotFound) return fail("no such file");
    return fail(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Exactly so many bytes. */
async function readBytes(file: Deno.FsFile, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let offset = 0; offset < length;) {
    const count = await file.read(bytes.subarray(offset));
    if (count === null) throw new Error("it ended while it was read");
    offset += count;
  }
  return bytes;
}

/** The header's entries in the order of their bytes, which fill the rest of the file without gap or overlap. */
function entriesOf(
  header: Uint8Array,
  size: number,
  fail: (problem: string) => never,
): Entry[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(header));
  } catch {
    fail("its header is not JSON");
  }
  if (!isObject(parsed)) fail("its header is not an object");
  const entries = Object.entries(parsed as object)
    .filter(([name]) => name !== METADATA)
    .map(([name, entry]) => entryOf(name, entry, fail));
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let expected = 0;
  for (const { name, start, end } of entries) {
    if (start !== expected) {
      fail(
        `${quoted(name)} begins at byte ${start}, wanted ${expected}, where the one before it ends`,
      );
    }
    expected = end;
  }
  if (expected !== size) fail(`its tensors have ${expected} bytes, but the file holds ${size}`);
  return entries;
}

function entryOf(name: string, entry: unknown, fail: (problem: string) => never): Entry {
  const what = quoted(name);
  if (!isObject(entry)) return fail(`its entry ${what} is not an object`);
  const { dtype, shape, data_offsets: offsets } = entry as Record<string, unknown>;
  if (dtype !== "F32") {
    return fail(`${what} is of type ${quoted(String(dtype))}, wanted F32`);
  }
  if (!isSizes(shape)) return fail(`${what} has no valid shape`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    return fail(`${what} has no valid data_offsets`);
  }
  const [start, end] = offsets as [number, number];
  const bytes = shape.reduce((product, extent) => product * extent, 4);
  if (bytes !== end - start) {
    return fail(
      `${what} has ${end - start} bytes, but shape [${shape.join(", ")}] takes ${bytes}`,
    );
  }
  return { name, shape, start, end };
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= 8 &&
    value.every((each) => Number.isSafeInteger(each) && each >= 0);
}

/** A name from a file, for a message. */
function quoted(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}

/**
 * Takes from a file's tensors those that a model has.
 *
 * @param path of the file, for messages
 * @param tensors what it holds
 * @param wanted names and shapes: all of them and no others
 * @returns the elements by name, in the order of `wanted`
 * @throws {CheckpointError} naming the first tensor that is missing, of another shape, not wanted, or that
 * holds a NaN or an infinity
 */
export function takeTensors(
  path: string,
  { tensors, wanted }: {
    readonly tensors: ReadonlyMap<string, NamedTensor>;
    readonly wanted: readonly { readonly name: string; readonly shape: readonly number[] }[];
  },
): Map<string, Float32Array<ArrayBuffer>> {
  const taken = new Map<string, Float32Array<ArrayBuffer>>();
  for (const { name, shape } of wanted) {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new CheckpointError(`${path}: ${name} is missing`);
    if (tensor.shape.join() !== shape.join()) {
      throw new CheckpointError(
        `${path}: ${name} has shape [${tensor.shape.join(", ")}], wanted [${shape.join(", ")}]`,
      );
    }
    const bad = tensor.data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new CheckpointError(
        `${path}: ${name} holds ${tensor.data[bad]} at element ${bad}, wanted finite numbers`,
      );
    }
    taken.set(name, tensor.data);
  }
  for (const name of tensors.keys()) {
    if (!taken.has(name)) {
      throw new CheckpointError(`${path}: holds ${quoted(name)}, which the model does not have`);
    }
  }
  return taken;
}
