/**
 * The supported types of weights: float32, half precision and bfloat16. Float32 can hold every
 * number of these types exactly.
 */

export const FLOAT_TYPES = ["F32", "F16", "BF16"] as const;

/** One of {@linkcode FLOAT_TYPES}. */
export type FloatType = typeof FLOAT_TYPES[number];

/** Whether a type is supported. */
export function isFloatType(type: string): type is FloatType {
  return (FLOAT_TYPES as readonly string[]).includes(type);
}

/** The bytes per number of a type. */
export function bytesPerNumber(type: FloatType): 2 | 4 {
  return type === "F32" ? 4 : 2;
}

/**
 * Converts stored numbers to float32 in place. The buffer has room for the float32 numbers, and the
 * stored bytes are at its end.
 *
 * @param numbers the buffer; {@linkcode storedPart} tells which part of it holds the stored bytes
 * @param type the stored type
 * @returns the same buffer with the exact numbers in float32, including subnormal numbers, −0,
 *   infinities and NaN
 */
export function widen(
  numbers: Float32Array<ArrayBuffer>,
  type: FloatType,
): Float32Array<ArrayBuffer> {
  const { buffer, byteOffset } = storedPart(numbers, type);
  const { length } = numbers;
  // Go forward, so no write overwrites stored numbers that are not yet read.
  if (type === "BF16") {
    const stored = new Uint16Array(buffer, byteOffset, length);
    const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, length);
    for (let i = 0; i < length; i++) bits[i] = stored[i]! << 16;
  } else if (type === "F16") {
    const stored = new Float16Array(buffer, byteOffset, length);
    for (let i = 0; i < length; i++) numbers[i] = stored[i]!;
  }
  return numbers;
}

/**
 * The part at a buffer's end where {@linkcode widen} expects the stored bytes.
 *
 * @param numbers a float32 array with as many numbers as are stored
 */
export function storedPart(
  numbers: Float32Array<ArrayBuffer>,
  type: FloatType,
): Uint8Array<ArrayBuffer> {
  const length = numbers.length * bytesPerNumber(type);
  return new Uint8Array(
    numbers.buffer,
    numbers.byteOffset + numbers.byteLength - length,
    length,
  );
}

/** The bits of the exponent. In an infinity or a NaN all of them are set. */
const EXPONENT = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 } as const;

/**
 * Finds an infinity or a NaN by its bits.
 *
 * @param bytes the stored numbers; `bytes.byteOffset` must be a multiple of 4
 * @param type the stored type
 * @returns the index of the first such number; −1 if all numbers are finite
 */
export function indexOfNonFinite(bytes: Uint8Array<ArrayBuffer>, type: FloatType): number {
  const mask = EXPONENT[type];
  // Read every type as 32-bit words: a loop that sees only one kind of array is several times as
  // fast.
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4));
  if (type === "F32") return indexOfWord(words, mask);
  const pair = indexOfPair(words, mask);
  if (pair < 0) {
    if (bytes.length % 4 === 0) return -1;
    const last = bytes.at(-2)! | bytes.at(-1)! << 8;
    return (last & mask) === mask ? 2 * words.length : -1;
  }
  return (words[pair]! & mask) === mask ? 2 * pair : 2 * pair + 1;
}

function indexOfWord(words: Uint32Array, mask: number): number {
  for (let i = 0; i < words.length; i++) {
    if ((words[i]! & mask) === mask) return i;
  }
  return -1;
}

/** The index of the first word whose low or high half has all bits of `mask` set; −1 for none. */
function indexOfPair(words: Uint32Array, mask: number): number {
  const high = mask << 16;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if ((word & mask) === mask || (word & high) === high) return i;
  }
  return -1;
}
