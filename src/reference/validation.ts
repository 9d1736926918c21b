/**
 * The argument checks that the float64 twin and the GPU's operators share: they look at shapes and
 * numbers only, so both kinds of tensor can be checked, and both report an error in the same words.
 */
import { elementCount, type ReferenceTensor } from "./tensor.ts";

/** Whatever has a shape: a {@linkcode ReferenceTensor} or a tensor on a GPU. */
export interface Shaped {
  /** The length of each dimension. */
  readonly shape: readonly number[];
}

/** The sizes that an attention operator's arguments agree on. */
export interface AttentionDimensions {
  /** B: the number of sequences. */
  readonly batch: number;
  /** Hq: the number of query heads. */
  readonly queryHeads: number;
  /** Hkv: the number of key and value heads. */
  readonly keyHeads: number;
  /** Hq / Hkv: the number of query heads that share a key head. */
  readonly group: number;
  /** T: the number of positions. */
  readonly length: number;
  /** D: the number of elements of a head's row. */
  readonly headDim: number;
}

/** The tensors of an attention operator; which of them are wanted is the operator's business. */
export interface AttentionTensors {
  /** [B, Hq, T, D] */
  readonly query: Shaped;
  /** [B, Hkv, T, D] */
  readonly key: Shaped;
  /** [B, Hkv, T, D] */
  readonly value?: Shaped;
  /** [B, Hq, T, D] */
  readonly output?: Shaped;
  /** [B, Hq, T] */
  readonly logSumExp?: Shaped;
  /** [B, Hq, T, D] */
  readonly outputGradient?: Shaped;
  /** V-scale of the values, if any. */
  readonly vScale?: { readonly constant: Shaped; readonly mode: string } | undefined;
}

function describe(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}

/** The shape, after checking that there is a tensor at all. */
function shapeOf(
  operation: string,
  argument: string,
  given: Shaped | undefined,
): readonly number[] {
  if (given === null || typeof given !== "object" || !Array.isArray(given.shape)) {
    throw new TypeError(`${operation}: ${argument} is ${String(given)}, wanted a tensor`);
  }
  return given.shape;
}

/**
 * Checks a tensor's shape against the wanted one.
 *
 * @param given The tensor.
 * @param options Whose argument it is; the wanted dimensions, of which a number must be met and a
 * name stands for any length of at least 1; and what the wish follows from, to end the message.
 * @returns The tensor's shape.
 * @throws {TypeError} If it is not a tensor or has another shape.
 */
export function checkShape(
  given: Shaped | undefined,
  options: {
    readonly operation: string;
    readonly argument: string;
    readonly wanted: readonly (number | string)[];
    readonly because?: string;
  },
): readonly number[] {
  const { operation, argument, wanted, because } = options;
  const shape = shapeOf(operation, argument, given);
  const fits = shape.length === wanted.length && shape.every((length, i) => {
    const want = wanted[i];
    return typeof want === "number" ? length === want : Number.isSafeInteger(length) && length >= 1;
  });
  if (!fits) {
    throw new TypeError(
      `${operation}: ${argument} has shape ${describe(shape)}, wanted ${describe(wanted)}` +
        (because === undefined ? "" : ` as ${because}`),
    );
  }
  return shape;
}

/**
 * Checks the shapes of an attention operator's tensors against each other, and the V-scale mode.
 * Only the tensors that are present as properties are looked at; one that is present but undefined
 * is reported as missing.
 *
 * @param operation The operator's name, for the message.
 * @param tensors Its tensors by argument name.
 * @returns The sizes they agree on.
 * @throws {TypeError} If a shape does not fit, Hq is not a multiple of Hkv, or the mode is no string.
 * @throws {RangeError} If the mode is unknown.
 */
export function checkAttentionShapes(
  operation: string,
  tensors: AttentionTensors,
): AttentionDimensions {
  const query = checkShape(tensors.query, {
    operation,
    argument: "query",
    wanted: ["B", "Hq", "T", "D"],
  });
  const [batch, queryHeads, length, headDim] = query as [number, number, number, number];
  const asQuery = `query is ${describe(query)}`;
  const key = checkShape(tensors.key, {
    operation,
    argument: "key",
    wanted: [batch, "Hkv", length, headDim],
    because: asQuery,
  });
  const keyHeads = key[1]!;
  if (queryHeads % keyHeads !== 0) {
    throw new TypeError(
      `${operation}: key has shape ${describe(key)}, wanted a number of heads that divides the ` +
        `query's ${queryHeads} as ${asQuery}`,
    );
  }
  const wanted: Record<string, readonly number[]> = {
    value: [batch, keyHeads, length, headDim],
    output: query,
    logSumExp: [batch, queryHeads, length],
    outputGradient: query,
  };
  for (const [argument, shape] of Object.entries(wanted)) {
    if (!(argument in tensors)) continue;
    const because = argument === "value" ? `key is ${describe(key)}` : asQuery;
    const given = tensors[argument as "value"];
    checkShape(given, { operation, argument, wanted: shape, because });
  }
  if (tensors.vScale !== undefined) {
    const { vScale } = tensors;
    if (vScale === null || typeof vScale !== "object") {
      throw new TypeError(
        `${operation}: vScale is ${String(vScale)}, wanted an object with constant and mode`,
      );
    }
    checkShape(vScale.constant, {
      operation,
      argument: "vScale.constant",
      wanted: [keyHeads],
      because: `key is ${describe(key)}`,
    });
    checkVScaleMode(operation, vScale.mode);
  }
  return { batch, queryHeads, keyHeads, group: queryHeads / keyHeads, length, headDim };
}

function checkVScaleMode(operation: string, mode: unknown): void {
  if (mode === "full" || mode === "backward-only") return;
  const message = `${operation}: vScale.mode is ${
    typeof mode === "string" ? JSON.stringify(mode) : String(mode)
  }, wanted "full" or "backward-only"`;
  throw typeof mode === "string" ? new RangeError(message) : new TypeError(message);
}

/**
 * Checks an optional number and fills in its default.
 *
 * @param given The number, or undefined for the default.
 * @param options Whose argument it is, its default, and a smallest value if it has one.
 * @returns The number to use.
 * @throws {TypeError} If it is no number.
 * @throws {RangeError} If it is not finite or below the minimum.
 */
export function checkNumber(
  given: number | undefined,
  options: {
    readonly operation: string;
    readonly argument: string;
    readonly fallback: number;
    readonly minimum?: number;
  },
): number {
  const { operation, argument, fallback, minimum = -Infinity } = options;
  if (given === undefined) return fallback;
  const wanted = minimum === -Infinity
    ? "a finite number"
    : `a finite number of at least ${minimum}`;
  if (typeof given !== "number") {
    throw new TypeError(`${operation}: ${argument} is ${String(given)}, wanted ${wanted}`);
  }
  if (!Number.isFinite(given) || given < minimum) {
    throw new RangeError(`${operation}: ${argument} is ${given}, wanted ${wanted}`);
  }
  return given;
}

/**
 * Checks an optional whole number and fills in its default.
 *
 * @param given The number, or undefined for the default.
 * @param options Whose argument it is, its default, and the smallest and largest value allowed.
 * @returns The number to use.
 * @throws {TypeError} If it is no number.
 * @throws {RangeError} If it is not an integer or out of range.
 */
export function checkInteger(
  given: number | undefined,
  options: {
    readonly operation: string;
    readonly argument: string;
    readonly fallback: number;
    readonly minimum: number;
    readonly maximum?: number;
  },
): number {
  const { operation, argument, fallback, minimum, maximum = Number.MAX_SAFE_INTEGER } = options;
  if (given === undefined) return fallback;
  const wanted = maximum === Number.MAX_SAFE_INTEGER
    ? `an integer of at least ${minimum}`
    : `an integer from ${minimum} to ${maximum}`;
  if (typeof given !== "number") {
    throw new TypeError(`${operation}: ${argument} is ${String(given)}, wanted ${wanted}`);
  }
  if (!Number.isSafeInteger(given) || given < minimum || given > maximum) {
    throw new RangeError(`${operation}: ${argument} is ${given}, wanted ${wanted}`);
  }
  return given;
}

/**
 * Checks that every V-scale constant is positive and finite.
 *
 * @param constant C of each value head.
 * @param options Whose argument it is.
 * @throws {RangeError} If an element is not.
 */
export function checkPositive(
  constant: ArrayLike<number>,
  options: { readonly operation: string; readonly argument: string },
): void {
  for (let i = 0; i < constant.length; i++) {
    const value = constant[i]!;
    if (!(value > 0 && value < Infinity)) {
      throw new RangeError(
        `${options.operation}: ${options.argument}[${i}] is ${value}, wanted a positive finite number`,
      );
    }
  }
}

/**
 * Checks that the tensors are the float64 twin's and hold as many elements as their shapes say.
 *
 * @param operation The operator's name, for the message.
 * @param tensors The tensors by argument name; undefined ones are passed over.
 * @throws {TypeError} If one is not.
 */
export function checkData(
  operation: string,
  tensors: Readonly<Record<string, ReferenceTensor | undefined>>,
): void {
  for (const [argument, given] of Object.entries(tensors)) {
    if (given === undefined) continue;
    if (!(given.data instanceof Float64Array)) {
      throw new TypeError(`${operation}: ${argument}.data is not a Float64Array, wanted one`);
    }
    const wanted = elementCount(given.shape);
    if (given.data.length !== wanted) {
      throw new TypeError(
        `${operation}: ${argument}.data has ${given.data.length} elements, wanted ${wanted} as ` +
          `its shape is ${describe(given.shape)}`,
      );
    }
  }
}
