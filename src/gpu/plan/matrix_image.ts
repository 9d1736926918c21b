import type { BufferOwner } from "../owner.ts";

/** Numbers per texel. */
const TEXEL = 4;

/** Columns per block, which is one layer of the texture. */
const BLOCK = 64;

/** The texture height and the number of layers that every WebGPU adapter allows. */
const GUARANTEED = { rows: 8192, blocks: 256 };

/**
 * A matrix in a read-only storage texture. Each layer is a block of 64 columns, and each texel
 * holds four neighboring numbers of a row. So numbers that a tile of a product reads together are
 * close in memory, along rows and along columns.
 *
 * On Mesa's lavapipe reading an image costs a fifth of reading a storage buffer: lavapipe calls a
 * function that gathers whole texels, but unrolls a buffer's reads for every lane and number.
 *
 * Give it to a `Plan` for a binding that the kernel declares as
 * `texture_storage_2d_array<rgba32float, read>`.
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
  /** The view that kernels bind. */
  readonly view: GPUTextureView;
  readonly #gpu: BufferOwner;
  readonly #texture: GPUTexture;
  #disposed = false;

  /**
   * Makes an image whose numbers are undefined until written.
   *
   * @param gpu the GPU
   * @param shape the matrix, `[rows, columns]`; columns are a multiple of four
   * @throws {RangeError} if the columns are not a multiple of four, or the matrix is too large for
   *   the GPU's textures
   */
  constructor(gpu: BufferOwner, shape: readonly [rows: number, columns: number]) {
    const [rows, columns] = shape;
    if (!MatrixImage.holds(gpu, shape)) {
      throw new RangeError(
        `image: the matrix is [${rows}, ${columns}], wanted columns in fours, and at most ` +
          `${most(gpu).rows} rows and ${BLOCK * most(gpu).blocks} columns`,
      );
    }
    this.shape = shape;
    this.#gpu = gpu;
    this.#texture = gpu.texture([BLOCK / TEXEL, rows, Math.ceil(columns / BLOCK)]);
    this.view = this.#texture.createView({ dimension: "2d-array" });
  }

  /**
   * Whether an image can hold a matrix.
   *
   * @param gpu the GPU
   * @param shape the matrix, `[rows, columns]`
   */
  static holds(
    gpu: Pick<BufferOwner, "device">,
    [rows, columns]: readonly [rows: number, columns: number],
  ): boolean {
    const limit = most(gpu);
    return columns % TEXEL === 0 && columns <= BLOCK * limit.blocks && rows <= limit.rows;
  }

  /** True once `dispose()` has been called, or the image's `Gpu` has been disposed of. */
  get freed(): boolean {
    return this.#disposed || this.#gpu.disposed;
  }

  /**
   * Overwrites whole rows, in the order of enqueued work.
   *
   * @param firstRow the first of them
   * @param data the rows, row-major
   * @throws {TypeError} if the image has been disposed of
   * @throws {RangeError} if the data are not whole rows of this matrix
   */
  write(firstRow: number, data: Float32Array<ArrayBuffer>): void {
    const [rows, columns] = this.shape;
    if (this.freed) throw new TypeError("Cannot write the image: it has been disposed of");
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
          { offset: 4 * column, bytesPerRow: 4 * columns },
          [Math.min(BLOCK, columns - column) / TEXEL, count],
        );
      }
    });
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
    rows: maxTextureDimension2D ?? GUARANTEED.rows,
    blocks: maxTextureArrayLayers ?? GUARANTEED.blocks,
  };
}
