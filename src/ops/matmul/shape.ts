/** The lengths of a matrix product, how its operands lie in memory, and what it costs. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Scalar } from "../../gpu/owner.ts";
import type { Cost } from "../../gpu/plan.ts";
import { MatrixImage } from "../../gpu/plan/matrix_image.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { checkMatmulShapes } from "../../reference/matmul.ts";
import { checkTensor, elementCount } from "../shared/validation.ts";

/** The strides of an operand, in elements. */
export interface MatmulStrides {
  /** From one row of left, or column of right, to the next. */
  readonly outer: number;
  /** From one k to the next. */
  readonly inner: number;
  /** From one batch to the next; 0 if all batches read the same matrix. */
  readonly batch: number;
}

/** The lengths of a matrix product, and how its operands lie in memory. */
export interface MatmulShape {
  /** B */
  readonly batches: number;
  /** M */
  readonly rows: number;
  /** N */
  readonly columns: number;
  /** K */
  readonly inner: number;
  readonly left: MatmulStrides;
  readonly right: MatmulStrides;
  /** Whether the product is stored transposed. Default: false. */
  readonly storedTransposed?: boolean;
}

/** A checked call of the matrix product, with its output tensor. */
export interface MatmulCall {
  readonly shape: MatmulShape;
  readonly left: Tensor;
  readonly right: Tensor;
  readonly product: Tensor;
}

/** Arguments of {@linkcode matmul}. */
export interface MatmulOptions {
  /** `[…, M, K]`, or `[…, K, M]` with `transposeLeft`. */
  readonly left: Tensor;
  /**
   * `[…, K, N]`, or `[…, N, K]` with `transposeRight`. If it has no leading dimensions, all batches
   * of `left` share it.
   */
  readonly right: Tensor;
  /** Whether the left operand is stored transposed. Default: false. */
  readonly transposeLeft?: boolean;
  /** Whether the right operand is stored transposed. Default: false. */
  readonly transposeRight?: boolean;
  /** The tensor to write, `[…, M, N]`; it shares no memory with operands. Default: a new one. */
  readonly product?: Tensor;
  /**
   * The name of a variant of the operator. Default: the fastest known for this adapter and shape.
   */
  readonly variant?: string;
}

/**
 * Checks the operands of a matrix product.
 *
 * If all batches of left share the right operand, the rows of all batches become the rows of one
 * large product, unless left is stored transposed.
 *
 * @returns the lengths and strides, and the shape of the product
 * @throws {TypeError} for wrong types or shapes
 */
export function checkMatmul(
  gpu: Gpu,
  operator: string,
  options: Omit<MatmulOptions, "right"> & { readonly right: Tensor | MatrixImage },
): { readonly shape: MatmulShape; readonly productShape: readonly number[] } {
  const { left, right, transposeLeft = false, transposeRight = false } = options;
  checkTensor(gpu, left, { operator, name: "left" });
  if (!(right instanceof MatrixImage)) checkTensor(gpu, right, { operator, name: "right" });
  else if (right.freed) throw new TypeError(`${operator}: right has been disposed of`);
  const { leading, shared, rows, columns, inner } = checkMatmulShapes(operator, options);
  const batches = elementCount(leading);
  const fold = shared && !transposeLeft;
  return {
    productShape: [...leading, rows, columns],
    shape: {
      batches: fold ? 1 : batches,
      rows: fold ? batches * rows : rows,
      columns,
      inner,
      left: transposeLeft
        ? { outer: 1, inner: rows, batch: rows * inner }
        : { outer: inner, inner: 1, batch: rows * inner },
      right: {
        ...transposeRight ? { outer: inner, inner: 1 } : { outer: 1, inner: columns },
        batch: shared ? 0 : inner * columns,
      },
    },
  };
}

/**
 * The least cost: a multiplication and an addition for each of B M N K terms. Each operand is read
 * once and the product written once.
 */
export function matmulCost({ batches, rows, columns, inner, right }: MatmulShape): Cost {
  const rightElements = (right.batch === 0 ? 1 : batches) * inner * columns;
  const elements = batches * rows * (inner + columns) + rightElements;
  return { flops: 2 * batches * rows * columns * inner, bytes: 4 * elements };
}

function upToPowerOfTwo(length: number, least: number, most: number): number {
  return 2 ** Math.min(most, Math.max(least, Math.ceil(Math.log2(length))));
}

/**
 * The class of shapes that share a tuned variant: the transposition, and each length rounded up to
 * a power of two, at least 32; lengths above 4,096 count as 4,096.
 */
export function matmulShapeClass({ rows, columns, inner, left, right }: MatmulShape): string {
  const transposition = (left.inner === 1 ? "N" : "T") + (right.inner === 1 ? "T" : "N");
  const [m, n, k] = [rows, columns, inner].map((length) => upToPowerOfTwo(length, 5, 12));
  return `${transposition} M<=${m} N<=${n} K<=${k}`;
}

/**
 * The transposed product, with exchanged operands: Pᵀ = Rᵀ Lᵀ. The kernel stores Pᵀ transposed, so
 * the output tensor holds P.
 */
export function exchangeOperands(shape: MatmulShape): MatmulShape {
  return {
    ...shape,
    rows: shape.columns,
    columns: shape.rows,
    left: shape.right,
    right: shape.left,
    storedTransposed: !shape.storedTransposed,
  };
}

/** Some columns of a product. */
export interface ColumnRange {
  readonly first: number;
  /** The column after the last. */
  readonly end: number;
}

/**
 * The uniform parameters of matmul/operands.wgsl.
 *
 * @param range which columns to compute. Default: all
 */
export function matmulParameters(
  shape: MatmulShape,
  { first, end }: ColumnRange = { first: 0, end: shape.columns },
): Scalar[] {
  const { batches, rows, columns, inner, left, right, storedTransposed = false } = shape;
  return [
    rows,
    end,
    inner,
    batches,
    left.outer,
    left.inner,
    left.batch,
    right.inner,
    right.outer,
    right.batch,
    ...storedTransposed ? [1, rows] : [columns, 1],
    rows * columns,
    first,
  ].map((u32) => ({ u32 }));
}
