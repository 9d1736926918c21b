/** Makes safetensors files with any header and tensors of any type, as other programs may. */

export interface StoredTensor {
  /** F32 by default. */
  readonly type?: string;
  readonly shape: readonly number[];
  /** Numbers, to be rounded to F32, F16 or BF16; or bytes of any type, to be written unchanged. */
  readonly data: Float32Array | Uint8Array;
}

export function joined(pieces: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  const all = [...pieces];
  const bytes = new Uint8Array(all.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of all) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}

/** A file with any header, given as text or as its JSON value. */
export function fileOf(
  header: unknown,
  data: Uint8Array = new Uint8Array(),
): Uint8Array<ArrayBuffer> {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const bytes = new TextEncoder().encode(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(bytes.length), true);
  return joined([length, bytes, data]);
}

/** A file of these tensors, in their order. */
export function safetensorsFile(
  tensors: ReadonlyMap<string, StoredTensor>,
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  const pieces: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { type = "F32", shape, data }] of tensors) {
    const bytes = data instanceof Float32Array ? stored(data, type) : data;
    header[name] = { dtype: type, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    pieces.push(bytes);
  }
  return fileOf(header, joined(pieces));
}

function stored(numbers: Float32Array, type: string): Uint8Array {
  if (type === "F32") return new Uint8Array(numbers.slice().buffer);
  if (type === "F16") return new Uint8Array(new Float16Array(numbers).buffer);
  if (type !== "BF16") throw new TypeError(`no numbers of type ${type} are written`);
  // Rounds to nearest, ties to even. NaN stays NaN, also one whose upper bits are infinity's.
  const bits = new Uint32Array(numbers.slice().buffer);
  const upper = Uint16Array.from(
    bits,
    (each, i) =>
      (Number.isNaN(numbers[i]) ? each | 0x400000 : each + 0x7fff + ((each >>> 16) & 1)) >>> 16,
  );
  return new Uint8Array(upper.buffer);
}

/**
 * Rounds numbers below 65,000 to 8 significant bits, which both bfloat16 and half precision
 * represent. Numbers below half precision's smallest normal one become 0.
 */
export function rounded(numbers: Float32Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(numbers, (number) => {
    if (number === 0 || Math.abs(number) < 2 ** -14) return 0;
    const unit = 2 ** (Math.floor(Math.log2(Math.abs(number))) - 7);
    return Math.round(number / unit) * unit;
  });
}
