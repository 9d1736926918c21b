/** Finds the files that hold a model's weights: a single file, or shards with an index. */
import { basename, join } from "node:path";
import { CheckpointError } from "../../checkpoint/error.ts";
import { objectOf, readJsonObject, reasonOf, shown } from "../../checkpoint/json.ts";
import { TensorFile } from "../../checkpoint/safetensors/file.ts";
import { quoted } from "../../checkpoint/safetensors/header.ts";

export interface TensorFiles extends Disposable {
  /** Each tensor's file, by the tensor's name in the file. */
  readonly tensors: ReadonlyMap<string, TensorFile>;
  /** Notes on the files for the user, one line each. */
  readonly notes: readonly string[];
}

/** The name of a single weights file. */
export const WHOLE = "model.safetensors";

/** The name of the index of several weights files. */
export const INDEX = "model.safetensors.index.json";

/** Patterns of names of files that are not read as weights, each with what to tell the user. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [
    /^(pytorch_model.*\.bin(\.index\.json)?|.*\.(pt|pth|ckpt))$/,
    "weights in Python's pickle format, which may run any program when it is read: convert it with transformers, " +
    "from_pretrained(…) and save_pretrained(…)",
  ],
  [
    /\.gguf$/,
    "weights in the GGUF format: convert it with transformers, from_pretrained(…, gguf_file=…) and save_pretrained(…)",
  ],
  [
    /^(tf_model\.h5|flax_model\.msgpack)$/,
    "weights of TensorFlow or Flax: convert it with transformers 4, from_pretrained(…, from_tf=True or from_flax=True) and save_pretrained(…)",
  ],
  [
    /^adapter_model\.(safetensors|bin)$/,
    "an adapter, which is only the difference to another model: merge it into that model with peft, merge_and_unload()",
  ],
  [/^optimizer\.safetensors$/, "an optimizer's moments, which are no weights"],
  [/\.(incomplete|part|crdownload)$/, "a download that did not finish: fetch the file again"],
  [
    /-\d{5}-of-\d{5}\.safetensors$/,
    `one of several files that ${INDEX} lists: fetch that index too`,
  ],
  [/\.safetensors$/, `weights under another name: rename it to ${WHOLE}, or add ${INDEX}`],
];

/**
 * Describes a kind of file that is not read as weights.
 *
 * @returns its kind, and what to do; undefined for any other file
 */
export function otherKind(name: string): string | undefined {
  return OTHERS.find(([pattern]) => pattern.test(name))?.[1];
}

/**
 * Opens a folder's weights files. It reads only their headers.
 *
 * @param folder in Hugging Face's layout
 * @throws {CheckpointError} if files are missing or incomplete, contradict the index, or are of a
 *   kind that is not read
 */
export async function openTensorFiles(folder: string): Promise<TensorFiles> {
  const names = await fileNames(folder);
  if (names.includes(WHOLE)) {
    const file = await TensorFile.open(join(folder, WHOLE));
    return {
      tensors: new Map([...file.entries.keys()].map((name) => [name, file])),
      notes: names.includes(INDEX)
        ? [`${join(folder, INDEX)} was not read, as ${WHOLE} is beside it`]
        : [],
      [Symbol.dispose]: () => file[Symbol.dispose](),
    };
  }
  if (names.includes(INDEX)) return await openShards(folder, names);
  const other = otherWeights(names);
  if (other !== undefined) {
    throw new CheckpointError(`${folder}: has no ${WHOLE}, but ${other}`);
  }
  throw new CheckpointError(
    `${join(folder, WHOLE)}: no such file, nor is ${INDEX} there: fetch the model's weights too`,
  );
}

/**
 * Finds, among a model's files, weights of a kind that is not read.
 *
 * @returns one of the names, its kind, and what to do; undefined if there are none
 */
export function otherWeights(names: readonly string[]): string | undefined {
  for (const [pattern, what] of OTHERS) {
    const name = names.find((each) => pattern.test(each));
    if (name !== undefined) return `${name}, ${what}`;
  }
  return undefined;
}

/**
 * The names in a folder, sorted.
 *
 * @throws {CheckpointError} if it cannot be read
 */
export async function fileNames(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
  } catch (error) {
    throw new CheckpointError(`${folder}: cannot be read: ${reasonOf(error)}`);
  }
}

async function openShards(folder: string, names: readonly string[]): Promise<TensorFiles> {
  const path = join(folder, INDEX);
  const index = await readIndex(path);
  const shards = [...new Set(index.values())];
  const missing = shards.filter((name) => !names.includes(name)).sort();
  if (missing.length > 0) {
    throw new CheckpointError(
      `${folder}: lacks ${missing.length} of the ${shards.length} files that ${INDEX} names: ` +
        `fetch ${missing.slice(0, 3).join(", ")}${missing.length > 3 ? " and the others" : ""}`,
    );
  }
  const files: TensorFile[] = [];
  const dispose = () => files.forEach((file) => file[Symbol.dispose]());
  try {
    for (const name of shards) files.push(await TensorFile.open(join(folder, name)));
    return {
      tensors: placesOf(files, { index, path }),
      notes: [],
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/**
 * Reads an index.
 *
 * @returns the name of each tensor's file, by the tensor's name
 * @throws {CheckpointError} if it cannot be read, names no tensor, or names anything but
 *   .safetensors files beside it
 */
export async function readIndex(path: string): Promise<Map<string, string>> {
  const map = objectOf((await readJsonObject(path)).weight_map, `${path}: weight_map`);
  const index = new Map<string, string>();
  for (const [tensor, name] of Object.entries(map)) {
    // An index from a stranger must not lead out of its folder.
    if (typeof name !== "string" || !/^[\w.+-]+\.safetensors$/.test(name)) {
      throw new CheckpointError(
        `${path}: ${quoted(tensor)} is in ${shown(name)}, wanted the name of a .safetensors file ` +
          "beside the index",
      );
    }
    index.set(tensor, name);
  }
  if (index.size === 0) throw new CheckpointError(`${path}: weight_map names no tensor`);
  return index;
}

/** Finds each tensor's file, and checks that index and files agree. */
function placesOf(
  files: readonly TensorFile[],
  { index, path }: { readonly index: ReadonlyMap<string, string>; readonly path: string },
): Map<string, TensorFile> {
  const places = new Map<string, TensorFile>();
  for (const file of files) {
    for (const name of file.entries.keys()) {
      const other = places.get(name);
      if (other !== undefined) {
        throw new CheckpointError(
          `${file.path}: holds ${quoted(name)}, which ${basename(other.path)} holds as well`,
        );
      }
      places.set(name, file);
    }
  }
  for (const [tensor, name] of index) {
    const place = places.get(tensor);
    if (place !== undefined && basename(place.path) === name) continue;
    throw new CheckpointError(
      `${path}: says that ${quoted(tensor)} is in ${name}, but it is in ${
        place === undefined ? "none of the files" : basename(place.path)
      }`,
    );
  }
  return places;
}
