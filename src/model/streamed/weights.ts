/**
 * Brings one layer's weights at a time to where kernels read them: from disk while the previous
 * layer computes, or from a copy on the GPU.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { type ImageLayout, MatrixImage } from "../../gpu/plan/matrix_image.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { type RightOperand, suitsImage } from "../../ops/matmul/by_image.ts";
import type { LlamaConfig } from "../../reference/llama/config.ts";
import { type LayerParameterNames, layerParameterNames } from "../../reference/llama/parameters.ts";
import type { RowRange, WeightSource } from "../pretrained/weights.ts";
import type { Workspace } from "../workspace.ts";
import { KeptWeights } from "./kept_weights.ts";

/** Parameters that one kernel reads as one tensor, and the number of elements of each. */
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

/** The arrays that a `Place` can write: float32 numbers, or 16-bit numbers as stored. */
type Numbers = Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** Where to write numbers: part of a tensor, or rows of an image (texture). */
interface Place {
  readonly length: number;
  readonly numbers: ImageLayout["numbers"];
  write(data: Numbers): void;
}

/**
 * Allocates the weights of a linear map, `[outputs, inputs]`: as an image (texture) if that is
 * allowed and faster, else as a tensor. An image holds bfloat16 if all these weights are bfloat16
 * on disk.
 *
 * @param options `images`: whether an image is allowed; `names`: the weights' names in `source`
 */
export function allocateWeights(
  workspace: Workspace,
  shape: readonly [outputs: number, inputs: number],
  { images, source, names }: {
    readonly images: boolean;
    readonly source: WeightSource;
    readonly names: readonly string[];
  },
): RightOperand {
  const { gpu } = workspace;
  const layouts: ImageLayout[] = [{ numbers: "f32", blocks: true }];
  if (names.every((name) => source.types.get(name) === "BF16")) {
    layouts.unshift({ numbers: "bf16", blocks: true });
  }
  const layout = images ? layouts.find((each) => suitsImage(gpu, shape, each)) : undefined;
  return layout === undefined
    ? workspace.keep(gpu.empty(shape))
    : workspace.keep(new MatrixImage(gpu, shape, layout));
}

/**
 * A part of a matrix or vector as a place to write.
 *
 * @param whole the matrix or vector
 * @param start the first element
 * @param length the number of elements: whole rows of a matrix
 */
export function partOf(whole: RightOperand, start: number, length: number): Place {
  if (whole instanceof MatrixImage) {
    const firstRow = start / whole.shape[1];
    return { length, numbers: whole.layout.numbers, write: (data) => whole.write(firstRow, data) };
  }
  const slice = whole.slice(start, [length]);
  const write = (data: Numbers) => slice.write(data as Float32Array<ArrayBuffer>);
  return { length, numbers: "f32", write };
}

export function arrayFor({ length, numbers }: Pick<Place, "length" | "numbers">): Numbers {
  return numbers === "bf16" ? new Uint16Array(length) : new Float32Array(length);
}

/**
 * Reads weights into an array. A Uint16Array gets their 16 bits as they are stored, a Float32Array
 * gets them in float32.
 */
export async function readWeights(
  source: WeightSource,
  name: string,
  { rows, into }: { readonly rows?: RowRange; readonly into: Numbers },
): Promise<void> {
  if (into instanceof Uint16Array) await source.readBits(name, rows, into);
  else await source.read(name, rows, into);
}

/** Writes to the GPU, and waits for the GPU about every {@linkcode UNSETTLED_BYTES} bytes. */
export class Uploads {
  readonly #gpu: Gpu;
  #bytes = 0;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Writes numbers. Work enqueued earlier still reads the old numbers. */
  async write(target: Place, data: Numbers): Promise<void> {
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
  /** The tensors by their parameters' names in layer 0. */
  readonly units: ReadonlyMap<string, Tensor>;
  /** The weights that are in images instead of `units`, by the same names. */
  readonly images: ReadonlyMap<string, MatrixImage>;
  readonly #source: WeightSource;
  readonly #uploads: Uploads;
  readonly #parts: readonly {
    readonly name: keyof LayerParameterNames;
    readonly place: Place;
  }[];
  /** The buffers into which weights are read, part by part. */
  readonly #buffers: readonly Numbers[];
  readonly #kept: KeptWeights<number>;
  /** The layer whose weights the buffers hold once `read` resolves. */
  #buffered: { readonly layer: number; readonly read: Promise<void> } | undefined;
  #present: number | undefined;

  /**
   * @param workspace owns the tensors and images
   * @param options `images`: whether images are allowed
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
        ? allocateWeights(workspace, shape as [number, number], {
          images: allowed,
          source,
          names: own.map(({ name }) => names[name]),
        })
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
    this.#buffers = parts.map(({ place }) => arrayFor(place));
    this.#kept = new KeptWeights(workspace, [...units.values(), ...images.values()]);
  }

  /** Allocates memory of at most `bytes` bytes, to keep layers' weights for later passes. */
  keep(bytes: number): void {
    this.#kept.allocate(this.#source.architecture.config.layers, bytes);
  }

  /** The layer whose weights are on the GPU once enqueued work is done. */
  get present(): number | undefined {
    return this.#present;
  }

  /**
   * Puts a layer's weights on the GPU for work that is enqueued afterwards.
   *
   * @param layer the layer's index
   * @param next the next layer; reading its weights from disk begins, but is not waited for
   * @throws {CheckpointError} if the weights of `layer` cannot be read
   */
  async load(layer: number, next: number | undefined): Promise<void> {
    if (this.#present !== layer && this.#kept.restore(layer)) this.#present = layer;
    if (this.#present !== layer) {
      await this.#read(layer);
      // A partial write must not count as a loaded layer.
      this.#present = undefined;
      for (const [i, { place }] of this.#parts.entries()) {
        await this.#uploads.write(place, this.#buffers[i]!);
      }
      this.#present = layer;
      this.#kept.keep(layer);
    }
    // Ignore an error in reading `next`: the later `load(next)` reads again or reports the error.
    if (next !== undefined && !this.#kept.has(next)) this.#read(next).catch(() => {});
  }

  /** Reads a layer's weights into the buffers, unless an earlier call has begun that. */
  #read(layer: number): Promise<void> {
    if (this.#buffered?.layer === layer) return this.#buffered.read;
    const names = layerParameterNames(layer);
    const last = this.#buffered?.read.catch(() => {});
    const read = (async () => {
      await last;
      await Promise.all(
        this.#parts.map(({ name }, i) =>
          readWeights(this.#source, names[name], { into: this.#buffers[i]! })
        ),
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
