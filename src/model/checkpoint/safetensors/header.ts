/**
 * The header of a safetensors file: names, types, shapes and offsets of its tensors. Files may come
 * from strangers, so every value is checked before use.
 *
 * Source: https://github.com/huggingface/safetensors, "Format".
 */

/** A tensor in a file. */
export interface TensorEntry {
  readonly name: string;
  /** The type's name in the format, for example `BF16`. */
  readonly type: string;
  readonly shape: readonly number[];
  /** The offset of the tensor's first byte, counted from the end of the header. */
  readonly start: number;
  readonly end: number;
}

const BITS: Readonly<Record<string, number>> = {
  ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
  ...{ BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8 },
  ...{ F8_E5M2FNUZ: 8, F8_E4M3FNUZ: 8 },
  ...{ I16: 16, U16: 16, F16: 16, BF16: 16 },
  ...{ I32: 32, U32: 32, F32: 32 },
  ...{ I64: 64, U64: 64, F64: 64, C64: 64 },
};

const METADATA = "__metadata__";

/**
 * Reads a header.
 *
 * @param options `size`: the number of bytes after the header; `fail`: throws an error with the
 *   given message
 * @returns the entries in the order of their bytes, which fill the rest of the file without gap or
 *   overlap
 */
export function parseHeader(
  header: Uint8Array,
  { size, fail }: { readonly size: number; readonly fail: (problem: string) => never },
): TensorEntry[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(header));
  } catch {
    fail("its header is not JSON");
  }
  if (!isObject(parsed)) fail("its header is not an object");
  const entries = Object.entries(parsed as object)
    .filter(([name]) => name !== METADATA)
    .map(([name, entry]) => entryOf(name, entry, fail));
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let expected = 0;
  for (const { name, start, end } of entries) {
    if (start !== expected) {
      fail(
        `${quoted(name)} begins at byte ${start}, wanted ${expected}, where the one before it ends`,
      );
    }
    expected = end;
  }
  if (expected !== size) {
    fail(
      `its tensors have ${expected} bytes, but the file holds ${size}` +
        (expected > size ? ": it is incomplete, so fetch it again" : ""),
    );
  }
  return entries;
}

function entryOf(name: string, entry: unknown, fail: (problem: string) => never): TensorEntry {
  const what = quoted(name);
  if (!isObject(entry)) return fail(`its entry ${what} is not an object`);
  const { dtype, shape, data_offsets: offsets } = entry as Record<string, unknown>;
  if (typeof dtype !== "string" || !Object.hasOwn(BITS, dtype)) {
    return fail(`${what} is of type ${quoted(String(dtype))}, which the format does not have`);
  }
  if (!isSizes(shape)) return fail(`${what} has no valid shape`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    return fail(`${what} has no valid data_offsets`);
  }
  const [start, end] = offsets as [number, number];
  const bytes = shape.reduce((product, extent) => product * extent, BITS[dtype]!) / 8;
  if (bytes !== end - start) {
    return fail(
      `${what} has ${end - start} bytes, but shape [${shape.join(", ")}] takes ${bytes}`,
    );
  }
  return { name, type: dtype, shape, start, end };
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= 8 &&
    value.every((each) => Number.isSafeInteger(each) && each >= 0);
}

export function quoted(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}
