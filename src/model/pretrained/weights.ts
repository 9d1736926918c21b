/** Reads a model's weights from disk: whole tensors, or a range of a tensor's rows. */
import { join } from "node:path";
import { parseHuggingFaceConfig } from "../checkpoint/hugging_face.ts";
import { readText } from "../checkpoint/json.ts";
import { bytesPerNumber, type FloatType } from "../checkpoint/safetensors/types.ts";
import { listParameters } from "../../reference/llama/parameters.ts";
import type { Architecture } from "./architecture.ts";
import { checkModelFolder } from "./folder.ts";
import { openTensorFiles } from "./weights/files.ts";
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
   * The shape of each parameter of `listParameters(architecture.config)`, by name. A tied head is
   * not among them, because it is the embedding.
   */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Each tensor's stored type, by the names of `shapes`. Float32 holds every type exactly. */
  readonly types: ReadonlyMap<string, FloatType>;
  /** How many bytes these weights take on disk. */
  readonly storedBytes: number;
  /** Notes on the files for the user, one line each: ignored fields, for example. */
  readonly notes: readonly string[];

  /**
   * Reads a tensor, or only some of its rows, without reading the file's other bytes.
   *
   * @param name one of {@linkcode shapes}
   * @param rows which rows of a matrix, or elements of a vector; all of them by default
   * @param into the array to fill, with as many elements as these rows; a new one by default
   * @returns the elements in float32, row by row, exactly as stored
   * @throws {RangeError} for another name, rows outside the tensor, or an array of the wrong length
   * @throws {CheckpointError} if the file cannot be read
   */
  read(
    name: string,
    rows?: RowRange,
    into?: Float32Array<ArrayBuffer>,
  ): Promise<Float32Array<ArrayBuffer>>;

  /**
   * Reads a tensor of 16-bit numbers, or only some of its rows, as it is stored.
   *
   * @param name one of {@linkcode shapes}
   * @param rows as for `read`
   * @param into the array to fill, with as many elements as these rows
   * @throws {RangeError} as `read` does, or if the type has more than 16 bits
   * @throws {CheckpointError} if the file cannot be read
   */
  readBits(
    name: string,
    rows: RowRange | undefined,
    into: Uint16Array<ArrayBuffer>,
  ): Promise<void>;
}

const CONFIG = "config.json";

/**
 * Reads a model's architecture, without its weights.
 *
 * @param folder in Hugging Face's layout
 * @param options `context`: the longest context that the model will get; by default the model's own
 * @throws {CheckpointError} if config.json is missing or unreadable, or describes an unsupported
 *   model
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
  /** The longest context that the model will get; by default the model's own. */
  readonly context?: number | undefined;
  /** Called while the weights are checked, with the finished share, from 0 to 1. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

/**
 * Opens the weights of a folder in Hugging Face's layout: config.json, and model.safetensors or
 * shards with an index. It reads all weights once, slice by slice, so faults are found before any
 * other work.
 *
 * @returns the weights; dispose of them when done
 * @throws {CheckpointError} if the model is not supported, or if a file or tensor is missing,
 *   incomplete, not finite, or of the wrong shape or type
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
    const { place, ...range } = this.#rangeOf(name, { rows, length: into?.length });
    return await place.file.read(place.name, range, into);
  }

  async readBits(
    name: string,
    rows: RowRange | undefined,
    into: Uint16Array<ArrayBuffer>,
  ): Promise<void> {
    const { place, start } = this.#rangeOf(name, { rows, length: into.length });
    await place.file.readBits(place.name, start, into);
  }

  /** Finds the elements of `rows` in a stored tensor. Throws if a given `length` is not theirs. */
  #rangeOf(
    name: string,
    { rows, length }: { readonly rows: RowRange | undefined; readonly length: number | undefined },
  ): { readonly place: Place; readonly start: number; readonly count: number } {
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
    if (length !== undefined && length !== count * width) {
      throw new RangeError(
        `WeightSource.read: ${count} rows of ${name} have ${count * width} elements, wanted an ` +
          `array of as many, not of ${length}`,
      );
    }
    return { place, start: start * width, count: count * width };
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
