/**
 * The matrix product in float64, for one matrix or a batch of them:
 *
 *     product[…][m][n] = Σ_k left[…](m, k) right[…](k, n)
 *
 * Its gradients are matrix products again: with G = ∂L/∂product, ∂L/∂left = G rightᵀ and ∂L/∂right
 * = leftᵀ G. If a batch's products share one right operand, ∂L/∂right is summed over the batch.
 */
import { elementCount, type ReferenceTensor, zeros } from "./tensor.ts";
import { checkData, checkShape, type Shaped, valueText } from "./validation.ts";

/** Arguments of {@linkcode matmul}. */
export interface MatmulOptions {
  /** [..., M, K], or [..., K, M] with `transposeLeft`. */
  readonly left: ReferenceTensor;
  /**
   * [..., K, N], or [..., N, K] with `transposeRight`. If this operand has no leading dimensions,
   * all products of the batch share it.
   */
  readonly right: ReferenceTensor;
  /** Whether the left operand is stored transposed. Default false. */
  readonly transposeLeft?: boolean | undefined;
  /** Whether the right operand is stored transposed. Default false. */
  readonly transposeRight?: boolean | undefined;
}

/** The sizes of a matrix product. */
export interface MatmulDimensions {
  /** The leading dimensions of left and of the product; empty for a single product. */
  readonly leading: readonly number[];
  /** Whether right has no leading dimensions, so all products of the batch share it. */
  readonly shared: boolean;
  /** M, the number of the product's rows. */
  readonly rows: number;
  /** N, the number of the product's columns. */
  readonly columns: number;
  /** K, the number of terms in the sum for one element of the product. */
  readonly inner: number;
}

/** The shapes of a matrix product's operands, and whether the operands are stored transposed. */
export interface MatmulOperands {
  readonly left: Shaped;
  readonly right: Shaped;
  readonly transposeLeft?: boolean | undefined;
  readonly transposeRight?: boolean | undefined;
}

function checkFlag(operator: string, name: string, given: unknown): boolean {
  if (given === undefined) return false;
  if (typeof given !== "boolean") {
    throw new TypeError(`${operator}: ${name} is ${valueText(given)}, wanted true or false`);
  }
  return given;
}

/**
 * Checks that the shapes of a matrix product's operands fit each other. The float64 twin and the
 * GPU's operator both use this check.
 *
 * @returns The sizes of the product.
 * @throws {TypeError} If a shape does not fit, or a flag is not a boolean.
 */
export function checkMatmulShapes(
  operator: string,
  operands: MatmulOperands,
): MatmulDimensions {
  const transposeLeft = checkFlag(operator, "transposeLeft", operands.transposeLeft);
  const transposeRight = checkFlag(operator, "transposeRight", operands.transposeRight);
  // `left` may have any number of leading dimensions. The wanted shape, which the error message
  // shows, gets as many as `left` has.
  const given = (operands.left as Shaped | undefined)?.shape;
  const rank = Array.isArray(given) ? Math.max(2, given.length) : 2;
  const names = Array.from({ length: rank - 2 }, (_, i) => `n${i}`);
  const left = checkShape(operands.left, {
    operator,
    name: "left",
    wanted: [...names, ...transposeLeft ? ["K", "M"] : ["M", "K"]],
  });
  const leading = left.slice(0, -2);
  const [first, second] = left.slice(-2) as [number, number];
  const [rows, inner] = transposeLeft ? [second, first] : [first, second];
  const shared = (operands.right as Shaped | undefined)?.shape?.length === 2;
  const right = checkShape(operands.right, {
    operator,
    name: "right",
    wanted: [...shared ? [] : leading, ...transposeRight ? ["N", inner] : [inner, "N"]],
    because: `left is [${left.join(", ")}]${transposeLeft ? ", transposed" : ""}`,
  });
  return { leading, shared, rows, inner, columns: right.at(transposeRight ? -2 : -1)! };
}

/**
 * The matrix product, batched over leading dimensions.
 *
 * @param options left [..., M, K] (or [..., K, M]), right [..., K, N] (or [..., N, K]) with the
 * same leading dimensions or none, and whether either is stored transposed.
 * @returns product [..., M, N].
 * @throws {TypeError} If a shape does not fit, or a flag is not a boolean.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const left = reference.tensor([1, 2, 3, 4], [2, 2]);
 * const right = reference.tensor([10, 1], [1, 2]);
 * const { product } = reference.matmul({ left, right, transposeRight: true });
 * console.log(product.shape, product.data); // [2, 1]: 12, 34
 * ```
 */
export function matmul(options: MatmulOptions): { product: ReferenceTensor } {
  const operator = "matmul";
  const { leading, shared, rows, columns, inner } = checkMatmulShapes(operator, options);
  const { left, right, transposeLeft = false, transposeRight = false } = options;
  checkData(operator, { left, right });
  const product = zeros([...leading, rows, columns]);
  for (let batch = 0; batch < elementCount(leading); batch++) {
    const leftStart = batch * rows * inner;
    const rightStart = shared ? 0 : batch * inner * columns;
    const productStart = batch * rows * columns;
    for (let m = 0; m < rows; m++) {
      for (let n = 0; n < columns; n++) {
        let sum = 0;
        for (let k = 0; k < inner; k++) {
          const l = leftStart + (transposeLeft ? k * rows + m : m * inner + k);
          const r = rightStart + (transposeRight ? n * inner + k : k * columns + n);
          sum += left.data[l]! * right.data[r]!;
        }
        product.data[productStart + m * columns + n] = sum;
      }
    }
  }
  return { product };
}
