/**
 * The weights of one layer at a time on the GPU: read from disk while the previous layer computes,
 * then overwritten.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { MatrixImage } from "../../gpu/plan/matrix_image.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { type RightOperand, suitsImage } from "../../ops/matmul/by_image.ts";
import type { LlamaConfig } from "../../reference/llama/config.ts";
import { type LayerParameterNames, layerParameterNames } from "../../reference/llama/parameters.ts";
import type { WeightSource } from "../pretrained/weights.ts";
import type { Workspace } from "../workspace.ts";

/** Parameters that one kernel reads as one matrix, and each one's elements. */
interface Unit {
  readonly shape: readonly number[];
  readonly parts: readonly { readonly name: keyof LayerParameterNames; readonly length: number }[];
}

type Rows = readonly [name: keyof LayerParameterNames, count: number];

function unitsOf(config: LlamaConfig): Unit[] {
  const { modelDim, queryHeads, keyValueHeads, headDim, feedForwardDim } = config;
  const [query, key] = [queryHeads * headDim, keyValueHeads * headDim];
  const unit = (columns: readonly number[], ...rows: readonly Rows[]): Unit => ({
    shape: [rows.reduce((sum, [, count]) => sum + count, 0), ...columns],
    parts: rows.map(([name, count]) => ({ name, length: count * (columns[0] ?? 1) })),
  });
  return [
    unit([], ["attentionNorm", modelDim]),
    unit([modelDim], ["query", query], ["key", key], ["value", key]),
    ...config.projectionBiases
      ? [unit([], ["queryBias", query], ["keyBias", key], ["valueBias", key])]
      : [],
    ...config.queryKeyNorm
      ? [unit([], ["queryNorm", headDim]), unit([], ["keyNorm", headDim])]
      : [],
    unit([query], ["attentionOutput", modelDim]),
    ...config.attentionOutputBias ? [unit([], ["attentionOutputBias", modelDim])] : [],
    unit([], ["mlpNorm", modelDim]),
    unit([modelDim], ["gate", feedForwardDim], ["up", feedForwardDim]),
    unit([feedForwardDim], ["down", modelDim]),
  ];
}

/**
 * How many bytes to write to the GPU before waiting for it. A driver may keep copies of all bytes
 * until the wait; but each wait leaves the GPU idle, in Deno for more than 10 ms.
 */
export const UNSETTLED_BYTES: number = 2 ** 27;

/** A place to write numbers: a tensor, or rows of an image. */
interface Place {
  readonly length: number;
  write(data: Float32Array<ArrayBuffer>): void;
}

/**
 * Allocates the weights of a linear map, as an image if that is faster.
 *
 * @param workspace owns them
 * @param shape `[outputs, inputs]`
 * @param images whether an image is allowed
 */
export function allocateWeights(
  workspace: Workspace,
  shape: readonly [outputs: number, inputs: number],
  images: boolean,
): RightOperand {
  const { gpu } = workspace;
  return images && suitsImage(gpu, shape)
    ? workspace.keep(new MatrixImage(gpu, shape))
    : workspace.keep(gpu.empty(shape));
}

/**
 * A part of a matrix or vector as a place to write.
 *
 * @param whole the matrix or vector
 * @param start the first element
 * @param length the number of elements: whole rows of a matrix
 */
export function partOf(whole: RightOperand, start: number, length: number): Place {
  if (!(whole instanceof MatrixImage)) return whole.slice(start, [length]);
  const firstRow = start / whole.shape[1];
  return { length, write: (data) => whole.write(firstRow, data) };
}

/** Writes to the GPU, and waits for it from time to time. */
export class Uploads {
  readonly #gpu: Gpu;
  #bytes = 0;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * Writes numbers, in the order of enqueued work.
   *
   * @param target where to write them
   * @param data as many numbers as the target has
   */
  async write(target: Place, data: Float32Array<ArrayBuffer>): Promise<void> {
    if (this.#bytes + data.byteLength > UNSETTLED_BYTES) {
      await this.#gpu.sync();
      this.#bytes = 0;
    }
    target.write(data);
    this.#bytes += data.byteLength;
  }
}

/** The weights of one layer at a time, in tensors that all layers share. */
export class LayerWeights {
  /** The tensors in the form that kernels read, by their names in layer 0. */
  readonly units: ReadonlyMap<string, Tensor>;
  /** The weights that are in images instead of `units`, by the same names as there. */
  readonly images: ReadonlyMap<string, MatrixImage>;
  readonly #source: WeightSource;
  readonly #uploads: Uploads;
  readonly #parts: readonly {
    readonly name: keyof LayerParameterNames;
    readonly place: Place;
  }[];
  /** The buffers into which weights are read, part by part. */
  readonly #buffers: readonly Float32Array<ArrayBuffer>[];
  /** The layer whose weights the buffers hold once `read` resolves. */
  #buffered: { readonly layer: number; readonly read: Promise<void> } | undefined;
  #present: number | undefined;

  /**
   * @param workspace owns the tensors and images
   * @param options the source of the weights, the writer to the GPU, and whether images are allowed
   * @throws {RangeError} if a matrix is larger than the adapter allows
   */
  constructor(
    workspace: Workspace,
    { source, uploads, images: allowed }: {
      readonly source: WeightSource;
      readonly uploads: Uploads;
      readonly images: boolean;
    },
  ) {
    this.#source = source;
    this.#uploads = uploads;
    const names = layerParameterNames(0);
    const units = new Map<string, Tensor>();
    const images = new Map<string, MatrixImage>();
    const parts: { name: keyof LayerParameterNames; place: Place }[] = [];
    for (const { shape, parts: own } of unitsOf(source.architecture.config)) {
      const whole = shape.length === 2
        ? allocateWeights(workspace, shape as [number, number], allowed)
        : workspace.keep(workspace.gpu.empty(shape));
      const unit = names[own[0]!.name];
      if (whole instanceof MatrixImage) images.set(unit, whole);
      else units.set(unit, whole);
      let start = 0;
      for (const { name, length } of own) {
        parts.push({ name, place: partOf(whole, start, length) });
        start += length;
      }
    }
    this.units = units;
    this.images = images;
    this.#parts = parts;
    this.#buffers = parts.map(({ place }) => new Float32Array(place.length));
  }

  /** The layer whose weights are on the GPU once enqueued work is done. */
  get present(): number | undefined {
    return this.#present;
  }

  /**
   * Puts a layer's weights on the GPU for work that is enqueued afterwards.
   *
   * @param layer the layer's index
   * @param next the next layer, whose weights are read meanwhile
   * @throws {CheckpointError} if they cannot be read
   */
  async load(layer: number, next: number | undefined): Promise<void> {
    if (this.#present !== layer) {
      await this.#read(layer);
      // A partial write must not count as a loaded layer.
      this.#present = undefined;
      for (const [i, { place }] of this.#parts.entries()) {
        await this.#uploads.write(place, this.#buffers[i]!);
      }
      this.#present = layer;
    }
    // The later call that loads this layer reports the error.
    if (next !== undefined) this.#read(next).catch(() => {});
  }

  /** Reads a layer's weights into the buffers, unless they are there or being read. */
  #read(layer: number): Promise<void> {
    if (this.#buffered?.layer === layer) return this.#buffered.read;
    const names = layerParameterNames(layer);
    const last = this.#buffered?.read.catch(() => {});
    const read = (async () => {
      await last;
      await Promise.all(
        this.#parts.map(({ name }, i) => {
          return this.#source.read(names[name], undefined, this.#buffers[i]);
        }),
      );
    })();
    const buffered = { layer, read };
    this.#buffered = buffered;
    read.catch(() => {
      if (this.#buffered === buffered) this.#buffered = undefined;
    });
    return read;
  }
}
