/**
 * How the tiled kernels of attention keep vectors in `tile`, their workgroup memory: as they are,
 * or rounded to f16, two numbers per word, which needs no feature of the adapter.
 */

/** How numbers are kept. */
export type TileStorage = "f32" | "f16";

/** A place in `tile`, `planes` groups further down: the text of its index. */
export type Place = (planes: number) => string;

/** A way of keeping vectors in `tile`. */
export interface Keeping {
  /** A statement that keeps a vector. */
  put(place: Place, value: string): string;
  /** The vector that is kept. */
  get(place: Place): string;
}

/** Bytes of a vector of `tile`. */
export function elementBytes(storage: TileStorage, side: 2 | 4): number {
  return storage === "f16" ? 2 * side : 4 * side;
}

const ways: Readonly<Record<TileStorage, Keeping>> = {
  f32: {
    put: (place, value) => `${place(0)} = ${value};`,
    get: (place) => place(0),
  },
  f16: {
    put: (place, value) => `${place(0)} = toHalves(${value});`,
    get: (place) => `fromHalves(${place(0)})`,
  },
};

/** A vector in one element of `tile`. */
export function keeping(storage: TileStorage): Keeping {
  return ways[storage];
}

/**
 * A vec4f that is not rounded, where elements of `tile` have half its size: x and y there, z and w
 * some groups later.
 *
 * @param groups how many
 */
export function keepingInPlanes(groups: number): Keeping {
  const half = (place: string, value: string) => `${place} = bitcast<vec2u>(${value});`;
  return {
    put: (place, value) => `${half(place(0), `${value}.xy`)} ${half(place(groups), `${value}.zw`)}`,
    get: (place) => `vec4f(bitcast<vec2f>(${place(0)}), bitcast<vec2f>(${place(groups)}))`,
  };
}

/** The WGSL type of an element of `tile`. */
export function elementType(storage: TileStorage, side: 2 | 4): string {
  return storage === "f16" ? "vec2u" : `vec${side}f`;
}

/** WGSL that the ways of keeping use. */
export function storageFunctions(storage: TileStorage): string {
  return storage === "f32" ? "" : `
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
