/** A model's weights on disk, read tensor by tensor, or a range of a tensor's rows. */
import { join } from "node:path";
import { parseHuggingFaceConfig } from "../checkpoint/hugging_face.ts";
import { readText } from "../checkpoint/json.ts";
import { bytesPerNumber, type FloatType } from "../checkpoint/safetensors/types.ts";
import { listParameters } from "../../reference/llama/parameters.ts";
import type { Architecture } from "./architecture.ts";
import { checkModelFolder, openTensorFiles } from "./weights/files.ts";
import { matchTensors, type Place } from "./weights/match.ts";
import { verifyWeights } from "./weights/verify.ts";

/** Rows of a tensor, from `start` on. */
export interface RowRange {
  readonly start: number;
  readonly count: number;
}

/** A model's weights on disk. */
export interface WeightSource extends Disposable {
  readonly architecture: Architecture;
  /**
   * The shapes by name, of every parameter of `listParameters(architecture.config)` and of nothing
   * else. A tied head is not among them: it is the embedding.
   */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** The types that they are stored in, by the same names; each is exact in float32. */
  readonly types: ReadonlyMap<string, FloatType>;
  /** What these weights take on disk. */
  readonly storedBytes: number;
  /**
   * What a user should know of these files, one line each: fields that were not read, for example.
   */
  readonly notes: readonly string[];

  /**
   * Reads a tensor, or rows of one, by the bytes that hold them.
   *
   * @param name one of {@linkcode shapes}
   * @param rows of a matrix, or elements of a vector; all of them by default
   * @param into what is filled, of that length; a new array by default
   * @returns the elements in float32, row by row, exactly as stored
   * @throws {RangeError} for another name, rows that the tensor does not have, or an array of
   *   another length
   * @throws {CheckpointError} if the file cannot be read
   */
  read(
    name: string,
    rows?: RowRange,
    into?: Float32Array<ArrayBuffer>,
  ): Promise<Float32Array<ArrayBuffer>>;
}

const CONFIG = "config.json";

/**
 * Reads what a model is, without its weights.
 *
 * @param folder in Hugging Face's layout
 * @param options `context`: the longest one that the model will be given; all of its own by default
 * @throws {CheckpointError} if there is no config.json, or it describes a model that is not
 *   computed
 */
export async function readArchitecture(
  folder: string,
  { context }: { readonly context?: number | undefined } = {},
): Promise<Architecture> {
  await checkModelFolder(folder);
  const path = join(folder, CONFIG);
  return parseHuggingFaceConfig(await readText(path), path, { context });
}

/** Options of {@linkcode openWeights}. */
export interface OpenWeightsOptions {
  /** The longest context that the model will be given; all of its own by default. */
  readonly context?: number | undefined;
  /** Called while the weights are checked, with the share that is done, from 0 to 1. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

/**
 * Opens the weights of a folder in Hugging Face's layout: config.json, and model.safetensors or
 * shards with an index. All of them are read once, slice by slice, so that what is wrong with them
 * is known before anything else begins.
 *
 * @param folder its path
 * @param options the context, and a function to call with the progress
 * @returns the weights, to be disposed of
 * @throws {CheckpointError} if something is missing, not whole, of another shape or type, not
 * finite, or belongs to a model that is not computed
 *
 * @example
 * ```ts
 * import { openWeights } from "./weights.ts";
 *
 * using weights = await openWeights("fixtures/llama-pytorch/plain", { context: 8 });
 * console.log(weights.architecture.family); // llama
 * const norm = await weights.read("model.norm.weight");
 * const twoTokens = await weights.read("model.embed_tokens.weight", { start: 3, count: 2 });
 * console.log(twoTokens.length === 2 * norm.length); // true
 * ```
 */
export async function openWeights(
  folder: string,
  { context, onProgress }: OpenWeightsOptions = {},
): Promise<WeightSource> {
  const architecture = await readArchitecture(folder, { context });
  const files = await openTensorFiles(folder);
  try {
    const matched = matchTensors(files.tensors, { architecture, folder });
    await verifyWeights(matched, { architecture, onProgress });
    const { unknownFields } = architecture;
    const notes = unknownFields.length === 0 ? files.notes : [
      `${join(folder, CONFIG)}: fields that are not known and were not read: ${
        unknownFields.join(", ")
      }`,
    ]
      .concat(files.notes);
    return new StoredWeights(architecture, { places: matched.parameters, files, notes });
  } catch (error) {
    files[Symbol.dispose]();
    throw error;
  }
}

class StoredWeights implements WeightSource {
  readonly architecture: Architecture;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly types: ReadonlyMap<string, FloatType>;
  readonly storedBytes: number;
  readonly notes: readonly string[];
  readonly #places: ReadonlyMap<string, Place>;
  readonly #files: Disposable;

  constructor(
    architecture: Architecture,
    { places, files, notes }: {
      readonly places: ReadonlyMap<string, Place>;
      readonly files: Disposable;
      readonly notes: readonly string[];
    },
  ) {
    this.architecture = architecture;
    this.notes = notes;
    this.#places = places;
    this.#files = files;
    const parameters = listParameters(architecture.config);
    this.shapes = new Map(parameters.map(({ name, shape }) => [name, shape]));
    this.types = new Map([...places].map(([name, place]) => [name, place.file.typeOf(place.name)]));
    this.storedBytes = [...this.shapes].reduce(
      (sum, [name, shape]) => sum + elements(shape) * bytesPerNumber(this.types.get(name)!),
      0,
    );
  }

  async read(
    name: string,
    rows?: RowRange,
    into?: Float32Array<ArrayBuffer>,
  ): Promise<Float32Array<ArrayBuffer>> {
    const shape = this.shapes.get(name);
    const place = this.#places.get(name);
    if (shape === undefined || place === undefined) {
      throw new RangeError(`WeightSource.read: the model has no ${name}`);
    }
    const { start, count } = rows ?? { start: 0, count: shape[0]! };
    if (
      !Number.isSafeInteger(start) || !Number.isSafeInteger(count) || start < 0 || count < 0 ||
      start + count > shape[0]!
    ) {
      throw new RangeError(
        `WeightSource.read: ${count} rows from ${start} on, wanted rows of the ${
          shape[0]
        } of ${name}`,
      );
    }
    const width = elements(shape.slice(1));
    if (into !== undefined && into.length !== count * width) {
      throw new RangeError(
        `WeightSource.read: ${count} rows of ${name} have ${count * width} elements, wanted an ` +
          `array of as many, not of ${into.length}`,
      );
    }
    return await place.file.read(place.name, { start: start * width, count: count * width }, into);
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
