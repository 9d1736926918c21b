/**
 * NumPy's file format for arrays, version 1.0.
 *
 * Source: numpy.lib.format, NEP 1.
 */

/** Element types by NumPy's names, all little-endian. */
export type NpyType = "<f4" | "<u4";

/**
 * The header of an .npy file: all bytes before the elements.
 *
 * @param shape in C order: the last dimension is contiguous
 *
 * @example
 * ```ts
 * import { npyHeader } from "./npy.ts";
 *
 * console.log(npyHeader("<f4", [20, 256, 576]).length % 64); // 0
 * ```
 */
export function npyHeader(type: NpyType, shape: readonly number[]): Uint8Array<ArrayBuffer> {
  const sizes = shape.map((size) => `${size},`).join(" ");
  const fields = `{'descr': '${type}', 'fortran_order': False, 'shape': (${sizes}), }`;
  // The magic bytes, the version and the length field take 10 bytes. The fields and a line feed
  // follow, with spaces between them, so that the elements begin at a multiple of 64.
  const length = 64 * Math.ceil((10 + fields.length + 1) / 64) - 10;
  const header = new Uint8Array(10 + length);
  header.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, length & 0xff, length >> 8]);
  header.set(new TextEncoder().encode(`${fields.padEnd(length - 1)}\n`), 10);
  return header;
}
