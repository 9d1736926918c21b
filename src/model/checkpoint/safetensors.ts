/**
 * Writes and reads the safetensors format: 8 bytes for the length of a JSON header, the header,
 * then the tensors' bytes without gaps.
 *
 * Source: https://github.com/huggingface/safetensors, "Format".
 */
import { CheckpointError } from "./error.ts";
import { TensorFile } from "./safetensors/file.ts";
import { quoted } from "./safetensors/header.ts";

/** A tensor in a file. */
export interface NamedTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/**
 * Yields the bytes of a safetensors file, piece by piece.
 *
 * @param tensors the tensors by name, whose data are written in this order
 * @param metadata texts by name
 */
export function* safetensorsPieces(
  tensors: ReadonlyMap<string, NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array<ArrayBuffer>> {
  const entries: [string, unknown][] = [["__metadata__", { format: "pt", ...metadata }]];
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    const end = offset + data.byteLength;
    entries.push([name, { dtype: "F32", shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = JSON.stringify(Object.fromEntries(entries));
  // Pad the header: the tensors must begin at a multiple of 8.
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
 * Reads a whole file.
 *
 * @param path a regular file
 * @returns its tensors by name, in float32
 * @throws {CheckpointError} if it cannot be read, is not a complete safetensors file, or has a
 *   tensor of a type other than F32, F16 and BF16
 */
export async function readSafetensors(path: string): Promise<Map<string, NamedTensor>> {
  using file = await TensorFile.open(path);
  const tensors = new Map<string, NamedTensor>();
  for (const [name, { shape }] of file.entries) {
    tensors.set(name, { shape, data: await file.read(name) });
  }
  return tensors;
}

/**
 * Checks that a file's tensors are exactly a model's, and returns their elements.
 *
 * @param path the file, for messages
 * @param tensors the file's tensors
 * @param wanted the model's names and shapes; the file must hold exactly these
 * @returns the elements by name, in the order of `wanted`
 * @throws {CheckpointError} that names the first tensor that is missing, unknown, of another shape,
 *   or holds a NaN or infinity
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
