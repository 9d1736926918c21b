/** Draws tensors on the CPU from a seed, and checks the tensors that an operator's file returns. */
import { randomNormal, randomUniform } from "../../random.ts";

/** A row-major tensor on the CPU. */
export interface HostTensor {
  /** The elements in row-major order: the last index varies fastest. */
  readonly data: Float64Array;
  /** The length of each dimension. */
  readonly shape: readonly number[];
}

/** Draws tensors. Equal seeds and equal calls in the same order give equal tensors. */
export interface TensorSource {
  /**
   * Draws normally distributed float32 values, by default of mean 0 and standard deviation 1.
   *
   * @param shape the length of each dimension
   * @param options the distribution's parameters
   */
  normal(
    shape: readonly number[],
    options?: { readonly mean?: number; readonly standardDeviation?: number },
  ): HostTensor;
  /**
   * Draws uniformly distributed float32 values, by default from 0 up to 1.
   *
   * @param shape the length of each dimension
   * @param options the interval, without its upper end
   */
  uniform(
    shape: readonly number[],
    options?: { readonly minimum?: number; readonly maximum?: number },
  ): HostTensor;
}

/**
 * Makes a source of tensors.
 *
 * @param seed decides all draws: each draw's own seed is made from `seed` and the draw's number
 */
export function tensorSource(seed: number): TensorSource {
  let draws = 0;
  // Each seed has 1,024 numbers of its own, so neighboring seeds share no draw.
  const next = (): number => 1024 * seed + draws++;
  const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
  return {
    normal: (shape, options = {}) => ({
      data: Float64Array.from(
        randomNormal({ ...options, seed: next(), length: elements(shape) }),
      ),
      shape,
    }),
    uniform: (shape, options = {}) => ({
      data: Float64Array.from(
        randomUniform({ ...options, seed: next(), length: elements(shape) }),
      ),
      shape,
    }),
  };
}

/**
 * Checks the inputs that an operator's file drew, and rounds them to float32, as the GPU gets them.
 *
 * @param made what the file's function returned
 * @param label the function and its lengths, for messages
 * @throws {TypeError} for anything but tensors by name
 */
export function checkedInputs(made: unknown, label: string): Record<string, HostTensor> {
  if (!isRecord(made) || Object.keys(made).length === 0) {
    throw new TypeError(
      `${label} returned ${
        describe(made)
      }, wanted tensors by name, as in { x: random.normal([n]) }`,
    );
  }
  return Object.fromEntries(
    Object.entries(made).map(([name, tensor]) => {
      const { data, shape } = isRecord(tensor) ? tensor : {};
      const valid = Array.isArray(shape) && shape.length > 0 &&
        shape.every((length) => Number.isSafeInteger(length) && length >= 1);
      if (!valid || !isNumbers(data)) {
        throw new TypeError(
          `${label} returned ${
            describe(tensor)
          } for ${name}, wanted { data, shape }: numbers, and ` +
            "the length of each dimension, whole numbers from 1 on",
        );
      }
      const length = shape.reduce((a: number, b: number) => a * b, 1);
      if (data.length !== length) {
        throw new TypeError(
          `${label} returned ${data.length} numbers for ${name} of shape [${shape.join(", ")}], ` +
            `wanted ${length}`,
        );
      }
      return [name, { data: Float64Array.from(Float32Array.from(data)), shape }];
    }),
  );
}

/**
 * Checks the outputs of a twin, the operator in float64.
 *
 * @param made the twin's return value
 * @param label the twin and its lengths, for messages
 * @throws {TypeError} if `made` is not an object with a list of finite numbers for each output
 */
export function checkedOutputs(made: unknown, label: string): Record<string, ArrayLike<number>> {
  if (!isRecord(made) || Object.keys(made).length === 0) {
    throw new TypeError(
      `${label} returned ${
        describe(made)
      }, wanted the outputs' numbers by name, as in { y: [...] }`,
    );
  }
  for (const [name, numbers] of Object.entries(made)) {
    if (!isNumbers(numbers)) {
      throw new TypeError(
        `${label} returned ${describe(numbers)} for ${name}, wanted a list of numbers, row-major`,
      );
    }
    for (let i = 0; i < numbers.length; i++) {
      if (Number.isFinite(numbers[i])) continue;
      throw new TypeError(`${label} computed ${numbers[i]} for ${name}[${i}], wanted a number`);
    }
  }
  return made as Record<string, ArrayLike<number>>;
}

/** Whether a value is an object, but not null, an array or a typed array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !ArrayBuffer.isView(value);
}

function isNumbers(value: unknown): value is ArrayLike<number> {
  return Array.isArray(value)
    ? value.every((item) => typeof item === "number")
    : ArrayBuffer.isView(value) && "length" in value &&
      !(value instanceof BigInt64Array || value instanceof BigUint64Array);
}

/** Describes a wrong value for a message. */
export function describe(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (value === undefined) return "nothing";
  if (value instanceof Promise) return "a promise";
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  try {
    const text = JSON.stringify(value) ?? String(value);
    return text.length > 80 ? `${text.slice(0, 80)}…` : text;
  } catch {
    return typeof value === "object" ? "an object" : String(value);
  }
}
