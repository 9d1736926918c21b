/**
 * How the tiled kernels of attention store vectors in `tile`, their workgroup memory: unchanged, or
 * rounded to f16 with two numbers per word, which needs no feature of the adapter.
 */

/** The type of stored numbers. */
export type TileStorage = "f32" | "f16";

/** Writes WGSL for a place in `tile`, moved on by `planes` turns (memory.ts explains turns). */
export type Place = (planes: number) => string;

/** A way to store vectors in `tile`. */
export interface Keeping {
  /** A statement that stores a vector. */
  put(place: Place, value: string): string;
  /** The stored vector. */
  get(place: Place): string;
}

/** Bytes per vector of `tile`. */
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

/** The way to store a vector in one element of `tile`. */
export function keeping(storage: TileStorage): Keeping {
  return ways[storage];
}

/**
 * The way to store an unrounded vec4f in elements of half its size: x and y in one, z and w in
 * another, some turns later.
 *
 * @param groups the number of turns between them
 */
export function keepingInPlanes(groups: number): Keeping {
  const half = (place: string, value: string) => `${place} = bitcast<vec2u>(${value});`;
  return {
    put: (place, value) => `${half(place(0), `${value}.xy`)} ${half(place(groups), `${value}.zw`)}`,
    get: (place) => `vec4f(bitcast<vec2f>(${place(0)}), bitcast<vec2f>(${place(groups)}))`,
  };
}

export function elementType(storage: TileStorage, side: 2 | 4): string {
  return storage === "f16" ? "vec2u" : `vec${side}f`;
}

/** WGSL functions for storing. */
export function storageFunctions(storage: TileStorage): string {
  return storage === "f32" ? "" : `
// Convert one number at a time: a number that f16 cannot hold may corrupt the one packed with it.
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
