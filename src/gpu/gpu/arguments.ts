/** Checks of the arguments that make tensors. */

/**
 * Checks a tensor's elements.
 *
 * @param operator the operator that the error names
 * @param data the elements, as a caller gave them
 * @throws {TypeError} if they are neither Float32Array nor an array of numbers
 */
export function checkNumbers(operator: string, data: unknown): void {
  if (data instanceof Float32Array) return;
  if (!Array.isArray(data)) {
    const given = Object.prototype.toString.call(data).slice(8, -1);
    throw new TypeError(
      `${operator}: data is ${given}, wanted Float32Array or an array of numbers`,
    );
  }
  const wrong = data.findIndex((element) => typeof element !== "number");
  if (wrong >= 0) {
    throw new TypeError(`${operator}: data[${wrong}] is ${typeof data[wrong]}, wanted a number`);
  }
}

/**
 * The number of elements of a shape.
 *
 * @param operator the operator that the error names
 * @param shape the lengths of the dimensions, as a caller gave them
 * @throws {TypeError} if it is not a list of positive integers
 */
export function checkedLength(operator: string, shape: readonly number[]): number {
  const valid = Array.isArray(shape) && shape.length > 0 &&
    shape.every((size) => Number.isSafeInteger(size) && size >= 1);
  if (!valid) {
    const given = Array.isArray(shape) ? `[${shape.join(", ")}]` : String(shape);
    throw new TypeError(`${operator}: shape is ${given}, wanted a list of positive integers`);
  }
  return shape.reduce((product, size) => product * size, 1);
}
