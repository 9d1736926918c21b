/** Finds the memory of a plan's arguments, and refuses a written argument that shares memory. */
import { Tensor } from "../tensor.ts";
import type { MatrixImage } from "./matrix_image.ts";
import type { Bound } from "./dispatch.ts";

/** A range of a buffer's bytes. */
export interface Region {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** A region with its name for messages. */
export interface NamedRegion {
  readonly name: string;
  readonly region: Region;
}

export function regionOf(bound: Exclude<Bound, MatrixImage>): Region {
  if (bound instanceof Tensor) return bound.region;
  if (!("buffer" in bound)) return { buffer: bound, offset: 0, size: bound.size };
  const { buffer, offset = 0, size = buffer.size - offset } = bound;
  return { buffer, offset, size };
}

export function commonBytes(a: Region, b: Region): number {
  if (a.buffer !== b.buffer) return 0;
  const end = Math.min(a.offset + a.size, b.offset + b.size);
  return Math.max(0, end - Math.max(a.offset, b.offset));
}

/**
 * Finds the tensors among a call's arguments.
 *
 * @param values the arguments by name: tensors, and lists and objects that hold tensors; all other
 *   values are ignored
 * @returns every tensor's region with its path, such as `terms[0]` or `vScale.constant`
 */
export function namedRegions(values: Readonly<Record<string, unknown>>): NamedRegion[] {
  const visit = (name: string, value: unknown): NamedRegion[] => {
    if (value instanceof Tensor) return [{ name, region: value.region }];
    if (Array.isArray(value)) return value.flatMap((item, i) => visit(`${name}[${i}]`, item));
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value).flatMap(([key, item]) => visit(`${name}.${key}`, item));
  };
  return Object.entries(values).flatMap(([name, value]) => visit(name, value));
}

/**
 * Throws if a written argument shares memory with another one.
 *
 * @param operator the operator, for the message
 * @param regions the arguments
 * @param isWritten tells whether the operator writes an argument
 * @throws {TypeError} that names the operator and both arguments
 */
export function refuseSharing<Item extends NamedRegion>(
  operator: string,
  regions: readonly Item[],
  isWritten: (item: Item) => boolean,
): void {
  const written = regions.map(isWritten);
  regions.forEach((second, j) => {
    const i = regions.findIndex((first, i) =>
      i < j && (written[i] || written[j]) && commonBytes(first.region, second.region) > 0
    );
    const first = regions[i];
    if (first === undefined) return;
    const common = commonBytes(first.region, second.region);
    const same = common === first.region.size && common === second.region.size;
    const how = same ? "lie in the same memory" : `have ${common / 4} elements in common`;
    throw new TypeError(
      `${operator}: ${first.name} and ${second.name} ${how}, which ${operator} writes: ` +
        "wanted memory of its own for each",
    );
  });
}
