/**
 * How the tiled kernels of attention keep vec4f in `tile`, their workgroup memory: as they are, or rounded to f16, two
 * numbers per word, which needs no feature of the adapter.
 */

/** How numbers are kept. */
export type TileStorage = "f32" | "f16";

/** A way of keeping vec4f in `tile`. */
export interface Keeping {
  /** A statement that keeps a vec4f. */
  put(place: string, value: string): string;
  /** The vec4f that is kept. */
  get(place: string): string;
}

/** Bytes of an element of `tile`. */
export function elementBytes(storage: TileStorage): number {
  return storage === "f16" ? 8 : 16;
}

const ways: Readonly<Record<TileStorage, Keeping>> = {
  f32: {
    put: (place, value) => `tile[${place}] = ${value};`,
    get: (place) => `tile[${place}]`,
  },
  f16: {
    put: (place, value) => `tile[${place}] = toHalves(${value});`,
    get: (place) => `fromHalves(tile[${place}])`,
  },
};

/** A vec4f in one element of `tile`. */
export function keeping(storage: TileStorage): Keeping {
  return ways[storage];
}

/**
 * A vec4f that is not rounded, where elements of `tile` have half its size: x and y there, z and w a plane later.
 *
 * @param plane elements of a plane
 */
export function keepingInPlanes(plane: number): Keeping {
  const half = (place: string, value: string) => `tile[${place}] = bitcast<vec2u>(${value});`;
  return {
    put: (place, value) =>
      `${half(place, `${value}.xy`)} ${half(`${place} + ${plane}u`, `${value}.zw`)}`,
    get: (place) =>
      `vec4f(bitcast<vec2f>(tile[${place}]), bitcast<vec2f>(tile[${place} + ${plane}u]))`,
  };
}

/** Declares `tile`, and what the ways of keeping use. */
export function declareTile(storage: TileStorage, elements: number): string {
  const tile = (type: string) =>
    `var<workgroup> tile: array<${type}, ${elements}>; // operands by d, or weights by column`;
  if (storage === "f32") return tile("vec4f");
  return `
${tile("vec2u")}
// One at a time: a number that f16 cannot hold may spoil what is packed with it.
fn toHalf(x: f32) -> u32 {
  return pack2x16float(vec2f(x, 0.0)) & 0xffffu;
}
fn toHalves(v: vec4f) -> vec2u {
  return vec2u(toHalf(v.x) | (toHalf(v.y) << 16u), toHalf(v.z) | (toHalf(v.w) << 16u));
}
fn fromHalves(halves: vec2u) -> vec4f {
  return vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y));
}`;
}
