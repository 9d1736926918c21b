/**
 * Weights of any size in f16: each row of a tile is multiplied by a power of two of its own before
 * it is shared, and divided by it where it is read, which rounds nothing. Without f16 none of this
 * is done.
 *
 * f16 has 11 bits down to 2^-14 and ends at 65,504. With a row's largest weight between 2^14 and
 * 2^15, all weights above 2^-28 of it keep 11 bits; what is smaller may be flushed to zero, and is
 * off by no more than that.
 */
import { combined, publish, share } from "./memory.ts";
import type { Sight } from "./sight.ts";
import { type AttentionTiledOptions, column, eachBlock, eachCell, tileOf } from "./tile.ts";

/** WGSL that the functions below use. */
export function scaleDeclarations(options: AttentionTiledOptions): string {
  return tileOf(options).storage === "f32" ? "" : `
// e where each row's largest weight is 2^(e - 127) or a little more, within what both powers below
// can be.
fn exponents(largest: vec4f) -> vec4u {
  return clamp(bitcast<vec4u>(largest) >> vec4u(23u), vec4u(15u), vec4u(254u));
}
fn enlargement(largest: vec4f) -> vec4f {
  return bitcast<vec4f>((vec4u(268u) - exponents(largest)) << vec4u(23u));
}
fn reduction(largest: vec4f) -> vec4f {
  return bitcast<vec4f>((exponents(largest) - vec4u(14u)) << vec4u(23u));
}`;
}

/**
 * Publishes the largest weight of each row in this invocation's part of the tile; needs a barrier
 * after the last reading of `partial`, and one before `shareScaled`. What a row does not see may be
 * of any size, and does not count.
 *
 * @param options the tile
 * @param name of the weights, `name{a}_{b}_{c}`
 * @param sight who sees what
 */
export function publishLargest(
  options: AttentionTiledOptions,
  name: string,
  sight: Sight,
): string {
  const { storage } = tileOf(options);
  if (storage === "f32") return "";
  const seen = (a: number, b: number, c: number) =>
    sight.seen(options, a, `firstColumn + ${column(options, b, c)}`);
  return `
      ${eachBlock(options, (a) => `var ${name}Most${a} = vec4f(0.0);`)}
      ${
    eachCell(options, (a, b, c) => `
      ${name}Most${a} = max(${name}Most${a},
        select(vec4f(0.0), abs(${name}${a}_${b}_${c}), ${seen(a, b, c)}));`)
  }
      ${publish(options, (a) => `${name}Most${a}`)}`;
}

/** `share`, of rows brought to a size that f16 keeps. */
export function shareScaled(options: AttentionTiledOptions, name: string): string {
  const { storage } = tileOf(options);
  if (storage === "f32") return share(options, name);
  return `
      ${
    combined(options, `${name}Largest`, {
      start: () => "vec4f(0.0)",
      combine: (most, next) => `max(${most}, ${next})`,
    })
  }
      ${
    eachBlock(options, (a) => `
      let ${name}Factor${a} = enlargement(${name}Largest${a});
      let ${name}Unit${a} = reduction(${name}Largest${a});`)
  }
      ${share(options, name, (a) => `${name}Factor${a} * `)}`;
}

/** What `accumulate` multiplies weights by that `shareScaled` shared. */
export function unitOf(options: AttentionTiledOptions, name: string): (a: number) => string {
  return tileOf(options).storage === "f32" ? () => "" : (a) => `${name}Unit${a} * `;
}
