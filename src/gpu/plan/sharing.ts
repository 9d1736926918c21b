/** Which memory a plan's arguments lie in, and what they may not share. */
import { Tensor } from "../tensor.ts";
import type { Bound } from "./dispatch.ts";

/** Bytes of a buffer. */
export interface Region {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** A region and what messages call it. */
export interface NamedRegion {
  readonly name: string;
  readonly region: Region;
}

/** Where the elements of something bound lie. */
export function regionOf(bound: Bound): Region {
  if (bound instanceof Tensor) return bound.region;
  if (!("buffer" in bound)) return { buffer: bound, offset: 0, size: bound.size };
  const { buffer, offset = 0, size = buffer.size - offset } = bound;
  return { buffer, offset, size };
}

/** The bytes that two regions have in common. */
export function commonBytes(a: Region, b: Region): number {
  if (a.buffer !== b.buffer) return 0;
  const end = Math.min(a.offset + a.size, b.offset + b.size);
  return Math.max(0, end - Math.max(a.offset, b.offset));
}

/**
 * The tensors among a call's arguments.
 *
 * @param values tensors by name, lists and objects of them; other values are passed over
 * @returns every tensor with the way to it, such as `terms[0]` or `vScale.constant`
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
 * Throws if something written shares memory with something else.
 *
 * @param operator whose arguments they are
 * @param regions the arguments
 * @param isWritten whether the operator writes one
 * @throws {TypeError} naming the operator and both arguments
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
