import { BLOCK, type ImageLayout, LINE, PER_TEXEL } from "../../../kernels/image_layout.ts";
import type { BufferOwner } from "../owner.ts";

export type { ImageLayout } from "../../../kernels/image_layout.ts";

/** The layout if no other is given. */
const DEFAULT_LAYOUT: ImageLayout = { numbers: "f32", blocks: true };

/** Bytes per texel. */
const TEXEL = 16;
const FORMATS = { f32: "rgba32float", bf16: "rgba32uint" } as const;

/** Every WebGPU adapter allows textures this wide and high (in texels) with this many layers. */
const GUARANTEED = { texels: 8192, layers: 256 };

/**
 * A matrix in a read-only storage texture. Each texel holds neighboring numbers of a row, four of
 * float32 or eight of bfloat16. By default each layer is a block of 64 columns. So numbers that a
 * tile of a product reads together are close in memory, along rows and along columns.
 *
 * On Mesa's lavapipe reading an image costs a fifth of reading a storage buffer. For an image,
 * lavapipe calls a function that gathers whole texels; for a buffer, it unrolls a read of every
 * number in every lane.
 *
 * Give the image to a `Plan` for a binding that the kernel declares as
 * `texture_storage_2d_array<rgba32float, read>`, or `rgba32uint` for bfloat16: each word then holds
 * two numbers, the first in its low half.
 *
 * @example
 * ```ts
 * import { MatrixImage, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * using image = new MatrixImage(gpu, [2, 4]);
 * image.write(0, Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
 * // textureLoad(image, vec2u(k / 4 % 16, row), k / 64) is the texel of columns k to k + 3.
 * console.log(image.shape);
 * ```
 */
export class MatrixImage {
  /** The matrix: `[rows, columns]`. */
  readonly shape: readonly [rows: number, columns: number];
  /** How it holds the matrix. */
  readonly layout: ImageLayout;
  /** The view that kernels bind. */
  readonly view: GPUTextureView;
  readonly #gpu: BufferOwner;
  readonly #texture: GPUTexture;
  readonly #size: readonly [width: number, height: number, layers: number];
  #disposed = false;

  /**
   * Makes an image whose numbers are undefined until written.
   *
   * @param gpu the GPU
   * @param shape the matrix, `[rows, columns]`; `columns` is a multiple of 4 for float32, of 8 for
   *   bfloat16
   * @param layout how the image holds the matrix. Default: float32 in blocks
   * @throws {RangeError} if `columns` is no such multiple, or the matrix is too large for the GPU's
   *   textures
   * @throws {TypeError} if the `Gpu` has been disposed of
   */
  constructor(
    gpu: BufferOwner,
    shape: readonly [rows: number, columns: number],
    layout: ImageLayout = DEFAULT_LAYOUT,
  ) {
    const [rows, columns] = shape;
    const perTexel = PER_TEXEL[layout.numbers];
    if (!MatrixImage.holds(gpu, shape, layout)) {
      throw new RangeError(
        `image: the matrix is [${rows}, ${columns}], wanted columns in multiples of ${perTexel}, ` +
          (layout.blocks
            ? `and at most ${most(gpu).texels} rows and ${BLOCK * most(gpu).layers} columns`
            : `and at most ${most(gpu).texels * LINE * perTexel} numbers`),
      );
    }
    this.shape = shape;
    this.layout = layout;
    this.#gpu = gpu;
    this.#size = layout.blocks
      ? [BLOCK / perTexel, rows, Math.ceil(columns / BLOCK)]
      : [LINE, Math.ceil(rows * columns / perTexel / LINE), 1];
    this.#texture = gpu.texture(this.#size, FORMATS[layout.numbers]);
    this.view = this.#texture.createView({ dimension: "2d-array" });
  }

  /**
   * Whether an image can hold a matrix.
   *
   * @param gpu the GPU
   * @param shape the matrix, `[rows, columns]`
   * @param layout how to hold it. Default: float32 in blocks
   */
  static holds(
    gpu: Pick<BufferOwner, "device">,
    [rows, columns]: readonly [rows: number, columns: number],
    layout: ImageLayout = DEFAULT_LAYOUT,
  ): boolean {
    const perTexel = PER_TEXEL[layout.numbers];
    if (columns % perTexel !== 0) return false;
    const { texels, layers } = most(gpu);
    return layout.blocks
      ? columns <= BLOCK * layers && rows <= texels
      : rows * columns / perTexel <= LINE * texels;
  }

  /** The bytes of its texture. */
  get bytes(): number {
    return this.#size.reduce((product, length) => product * length, TEXEL);
  }

  /** True once `dispose()` has been called, or the image's `Gpu` has been disposed of. */
  get freed(): boolean {
    return this.#disposed || this.#gpu.disposed;
  }

  /**
   * Overwrites whole rows of an image whose layout has `blocks: true`. Work that is already
   * enqueued sees the old rows, later work the new ones.
   *
   * @param firstRow the first row to overwrite
   * @param data the rows, row-major; each bfloat16 number is given as its 16 bits
   * @throws {TypeError} if the image has been disposed of, has no blocks, or has numbers of another
   *   type
   * @throws {RangeError} if the data are not whole rows of this matrix
   */
  write(firstRow: number, data: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>): void {
    const [rows, columns] = this.shape;
    if (this.freed) throw new TypeError("Cannot write the image: it has been disposed of");
    if (!this.layout.blocks) throw new TypeError("Cannot write rows of an image without blocks");
    const bytes = TEXEL / PER_TEXEL[this.layout.numbers];
    if (data.BYTES_PER_ELEMENT !== bytes) {
      throw new TypeError(
        `Cannot write the image: its numbers are ${this.layout.numbers}, wanted ${bytes} bytes for each, ` +
          `not ${data.BYTES_PER_ELEMENT}`,
      );
    }
    const count = data.length / columns;
    if (!Number.isInteger(count) || count < 1 || firstRow < 0 || firstRow + count > rows) {
      throw new RangeError(
        `Cannot write the image: ${data.length} numbers from row ${firstRow} on, wanted whole ` +
          `rows of [${rows}, ${columns}]`,
      );
    }
    this.#gpu.guard("image", () => {
      for (let column = 0; column < columns; column += BLOCK) {
        this.#gpu.device.queue.writeTexture(
          { texture: this.#texture, origin: [0, firstRow, column / BLOCK] },
          data,
          { offset: bytes * column, bytesPerRow: bytes * columns },
          [Math.min(BLOCK, columns - column) * bytes / TEXEL, count],
        );
      }
    });
  }

  /**
   * Records a copy of a whole matrix from a buffer to this image, whose layout must have
   * `blocks: false`.
   *
   * @param encoder the encoder to record with
   * @param buffer the buffer that holds the matrix
   * @param offset the matrix's first byte, a multiple of 16
   */
  copyFrom(encoder: GPUCommandEncoder, buffer: GPUBuffer, offset: number): void {
    const texels = this.shape[0] * this.shape[1] / PER_TEXEL[this.layout.numbers];
    const lines = Math.floor(texels / LINE);
    const copy = (line: number, width: number, height: number) => {
      if (width === 0 || height === 0) return;
      encoder.copyBufferToTexture(
        { buffer, offset: offset + TEXEL * LINE * line, bytesPerRow: TEXEL * LINE },
        { texture: this.#texture, origin: [0, line] },
        [width, height],
      );
    };
    copy(0, LINE, lines);
    copy(lines, texels % LINE, 1);
  }

  /**
   * Records a copy of all numbers to another image.
   *
   * @param encoder the encoder to record with
   * @param other an image of the same shape and layout
   */
  copyTo(encoder: GPUCommandEncoder, other: MatrixImage): void {
    encoder.copyTextureToTexture(
      { texture: this.#texture },
      { texture: other.#texture },
      [...this.#size],
    );
  }

  /** Frees the memory. Work already enqueued still finishes. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#gpu.freeTexture(this.#texture);
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function most({ device }: Pick<BufferOwner, "device">): typeof GUARANTEED {
  const { maxTextureDimension2D, maxTextureArrayLayers } = device.limits;
  return {
    texels: maxTextureDimension2D ?? GUARANTEED.texels,
    layers: maxTextureArrayLayers ?? GUARANTEED.layers,
  };
}
