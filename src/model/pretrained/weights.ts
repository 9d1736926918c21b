/** A model's weights on disk, read tensor by tensor, or a range of a tensor's rows. */
import type { Architecture } from "./architecture.ts";

/** The types that weights are stored in; each is exact in float32. */
export type StoredType = "F32" | "F16" | "BF16";

/** Rows of a tensor, from `start` on. */
export interface RowRange {
  readonly start: number;
  readonly count: number;
}

/** Weights that are on disk. */
export interface WeightSource extends Disposable {
  readonly architecture: Architecture;
  /**
   * The shapes by name, of every parameter of `listParameters(architecture.config)` and of nothing else. A tied head
   * is not among them: it is the embedding.
   */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** The types by the same names. */
  readonly types: ReadonlyMap<string, StoredType>;
  /** What these weights take on disk. */
  readonly storedBytes: number;
  /** What a user should know of these files, one line each: fields that were not read, for example. */
  readonly notes: readonly string[];

  /**
   * Reads a tensor, or rows of one, by the bytes that hold them.
   *
   * @param name one of {@linkcode shapes}
   * @param rows of a matrix, or elements of a vector; all of them by default
   * @returns the elements in float32, row by row, exactly as stored
   * @throws {RangeError} for another name, or rows that the tensor does not have
   * @throws {CheckpointError} if the file cannot be read, or holds a NaN or an infinity there
   */
  read(name: string, rows?: RowRange): Promise<Float32Array<ArrayBuffer>>;
}
