/** The tensors of the float64 twin: plain arrays with a shape. */

/** A row-major float64 tensor on the CPU. */
export interface ReferenceTensor {
  /** The elements in row-major order: the last index varies fastest. */
  readonly data: Float64Array;
  /** The length of each dimension; all at least 1. */
  readonly shape: readonly number[];
}

/**
 * Counts a shape's elements.
 *
 * @param shape The length of each dimension.
 * @returns The product of the dimensions.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * console.log(reference.elementCount([2, 3, 4])); // 24
 * ```
 */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

function checkDimensions(operation: string, shape: readonly number[]): void {
  if (!Array.isArray(shape) || shape.length === 0) {
    throw new TypeError(
      `${operation}: shape is ${JSON.stringify(shape)}, wanted an array of one or more dimensions`,
    );
  }
  if (!shape.every((length) => Number.isSafeInteger(length) && length >= 1)) {
    throw new TypeError(
      `${operation}: shape is [${
        shape.join(", ")
      }], wanted dimensions that are integers of at least 1`,
    );
  }
}

/**
 * Makes a tensor of the float64 twin from a copy of the given numbers.
 *
 * @param data The elements in row-major order: any list of numbers, float32 or float64.
 * @param shape The length of each dimension.
 * @returns A tensor that shares nothing with `data` or `shape`.
 * @throws {TypeError} If a dimension is not a positive integer, or `data` does not have as many
 *   elements as the shape.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const gain = reference.tensor([1, 0.5, 2], [3]);
 * console.log(gain.data[2]); // 2
 * ```
 */
export function tensor(data: ArrayLike<number>, shape: readonly number[]): ReferenceTensor {
  checkDimensions("tensor", shape);
  const wanted = elementCount(shape);
  if (data === null || typeof data !== "object" || typeof data.length !== "number") {
    throw new TypeError(`tensor: data is ${String(data)}, wanted a list of ${wanted} numbers`);
  }
  if (data.length !== wanted) {
    throw new TypeError(
      `tensor: data has ${data.length} elements, wanted ${wanted} as shape is [${
        shape.join(", ")
      }]`,
    );
  }
  return { data: Float64Array.from(data), shape: [...shape] };
}

/**
 * Makes a tensor of zeros.
 *
 * @param shape The length of each dimension.
 * @returns A new tensor.
 * @throws {TypeError} If a dimension is not a positive integer.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * console.log(reference.zeros([2, 2]).data.length); // 4
 * ```
 */
export function zeros(shape: readonly number[]): ReferenceTensor {
  checkDimensions("zeros", shape);
  return { data: new Float64Array(elementCount(shape)), shape: [...shape] };
}

/**
 * The dot product ⟨a, b⟩ of two rows that begin at the given offsets.
 *
 * @param a The array that holds the first row.
 * @param b The array that holds the second row.
 * @param at Where the rows begin and how long they are.
 * @returns The sum of the products.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const matrix = Float64Array.of(1, 2, 3, 4);
 * console.log(reference.dot(matrix, matrix, { offsetA: 0, offsetB: 2, length: 2 })); // 11
 * ```
 */
export function dot(
  a: Float64Array,
  b: Float64Array,
  at: { readonly offsetA: number; readonly offsetB: number; readonly length: number },
): number {
  const { offsetA, offsetB, length } = at;
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[offsetA + i]! * b[offsetB + i]!;
  return sum;
}
