/**
 * Argument checks. The float64 twin and the GPU's operators share them, so both give the same
 * messages. Only the twin needs `checkData`.
 */
import { elementCount, type ReferenceTensor } from "./tensor.ts";

/** The names of an operator and of its argument that is checked. Error messages begin with them. */
export interface Argument {
  readonly operator: string;
  readonly name: string;
}

/** Anything with a shape: a {@linkcode ReferenceTensor} or a GPU tensor. */
export interface Shaped {
  /** The length of each dimension. */
  readonly shape: readonly number[];
}

/** Writes a shape for a message. */
export function shapeText(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}

/** Writes a value for a message: numbers unchanged, texts in quotes, objects by their type. */
export function valueText(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value === null) return "null";
  return ["object", "function", "symbol"].includes(typeof value) ? typeof value : String(value);
}

/**
 * Checks a tensor's shape against the wanted one.
 *
 * @param options `operator` and `name`: which argument it is; `wanted`: for each dimension, its
 *   exact length, or a name if any length of at least 1 is allowed; `because`: the reason for the
 *   wanted shape, with which the message ends.
 * @returns The tensor's shape.
 * @throws {TypeError} If `given` is not a tensor or has another shape.
 */
export function checkShape(
  given: Shaped | undefined,
  { operator, name, wanted, because }: Argument & {
    readonly wanted: readonly (number | string)[];
    readonly because?: string;
  },
): readonly number[] {
  if (given === null || typeof given !== "object" || !Array.isArray(given.shape)) {
    throw new TypeError(`${operator}: ${name} is ${valueText(given)}, wanted a tensor`);
  }
  const { shape } = given;
  const fits = shape.length === wanted.length && shape.every((length, i) => {
    const want = wanted[i];
    return typeof want === "number" ? length === want : Number.isSafeInteger(length) && length >= 1;
  });
  if (!fits) {
    throw new TypeError(
      `${operator}: ${name} has shape ${shapeText(shape)}, wanted ${shapeText(wanted)}` +
        (because === undefined ? "" : ` as ${because}`),
    );
  }
  return shape;
}

/**
 * Throws unless the value is a finite number in its range.
 *
 * @param options `operator` and `name`: which argument it is; `minimum`: the smallest number
 *   allowed; `above`: a number that the value must exceed.
 * @throws {TypeError} If the value is not a number.
 * @throws {RangeError} If the value is not finite or out of range.
 */
export function checkNumber(
  value: unknown,
  { operator, name, minimum = -Infinity, above = -Infinity }: Argument & {
    readonly minimum?: number;
    readonly above?: number;
  },
): void {
  if (typeof value === "number" && Number.isFinite(value) && value >= minimum && value > above) {
    return;
  }
  const range = above > -Infinity
    ? ` above ${above}`
    : minimum > -Infinity
    ? ` of at least ${minimum}`
    : "";
  throw refusal(
    value,
    `${operator}: ${name} is ${valueText(value)}, wanted a finite number${range}`,
  );
}

/**
 * Throws unless the value is a whole number within its range.
 *
 * @param options Which argument it is, and the smallest and largest value allowed.
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is not an integer or out of range.
 */
export function checkInteger(
  value: unknown,
  { operator, name, minimum, maximum = Number.MAX_SAFE_INTEGER }: Argument & {
    readonly minimum: number;
    readonly maximum?: number;
  },
): void {
  if (Number.isSafeInteger(value) && value as number >= minimum && value as number <= maximum) {
    return;
  }
  const range = maximum === Number.MAX_SAFE_INTEGER
    ? `of at least ${minimum}`
    : `from ${minimum} to ${maximum}`;
  throw refusal(value, `${operator}: ${name} is ${valueText(value)}, wanted an integer ${range}`);
}

// A wrong type is a TypeError, a wrong number a RangeError.
function refusal(value: unknown, message: string): TypeError | RangeError {
  return typeof value === "number" ? new RangeError(message) : new TypeError(message);
}

/**
 * Throws unless every number is positive and finite, as V-scale's constants must be.
 *
 * @throws {RangeError} If a number is not positive or not finite.
 */
export function checkPositive(
  numbers: ArrayLike<number>,
  { operator, name }: Argument,
): void {
  const wrong = Array.prototype.findIndex.call(numbers, (x) => !(x > 0 && x < Infinity));
  if (wrong >= 0) {
    throw new RangeError(
      `${operator}: ${name}[${wrong}] is ${numbers[wrong]}, wanted a positive finite number`,
    );
  }
}

/**
 * Checks that the tensors are the float64 twin's and hold as many elements as their shapes say.
 *
 * @param tensors The tensors by argument name; undefined ones are skipped.
 * @throws {TypeError} If a tensor's data is not a Float64Array, or its length does not fit the
 * shape.
 */
export function checkData(
  operator: string,
  tensors: Readonly<Record<string, ReferenceTensor | undefined>>,
): void {
  for (const [name, given] of Object.entries(tensors)) {
    if (given === undefined) continue;
    if (!(given.data instanceof Float64Array)) {
      throw new TypeError(`${operator}: ${name}.data is not a Float64Array, wanted one`);
    }
    const wanted = elementCount(given.shape);
    if (given.data.length !== wanted) {
      throw new TypeError(
        `${operator}: ${name}.data has ${given.data.length} elements, wanted ${wanted} as ` +
          `its shape is ${shapeText(given.shape)}`,
      );
    }
  }
}
