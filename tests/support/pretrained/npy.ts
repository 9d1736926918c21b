/**
 * Reads NumPy's arrays according to the format's specification, independently of the code that
 * writes them.
 */

export interface NpyArray {
  readonly type: string;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** Reads a file of format 1.0 with elements in C order. */
export function parseNpy(bytes: Uint8Array<ArrayBuffer>): NpyArray {
  const magic = String.fromCharCode(...bytes.subarray(0, 6));
  if (magic !== "\x93NUMPY" || bytes[6] !== 1 || bytes[7] !== 0) throw new Error("no .npy of 1.0");
  const start = 10 + new DataView(bytes.buffer, bytes.byteOffset).getUint16(8, true);
  const header = new TextDecoder().decode(bytes.subarray(10, start));
  const match =
    /^\{'descr': '(<[fu]4)', 'fortran_order': False, 'shape': \(((?:\d+,(?: |(?=\))))*)\), \} *\n$/
      .exec(header);
  if (match === null || start % 64 !== 0) throw new Error(`header ${JSON.stringify(header)}`);
  const shape = match[2]!.split(",").slice(0, -1).map(Number);
  const content = bytes.slice(start).buffer;
  const data = Array.from(
    match[1] === "<f4" ? new Float32Array(content) : new Uint32Array(content),
  );
  const length = shape.reduce((product, size) => product * size, 1);
  if (data.length !== length) throw new Error(`${data.length} elements of shape ${shape}`);
  return { type: match[1]!, shape, data };
}
