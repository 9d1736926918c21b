/**
 * Keeps weights of any size in f16. Before a row of weights is shared, it is multiplied by a power
 * of two. After it is read, it is divided by the same power. Neither step rounds. Without f16 none
 * of this happens.
 *
 * f16 has 11 bits down to 2^-14 and ends at 65,504. A row's largest weight is scaled to between
 * 2^14 and 2^15. Then all weights above 2^-28 of the largest keep 11 bits; smaller ones may be
 * flushed to zero, an error of at most 2^-28 of the largest.
 */
import { combined, publish, share } from "./memory.ts";
import type { Sight } from "./sight.ts";
import { type AttentionTiledOptions, column, eachBlock, eachCell, tileOf } from "./tile.ts";

/** WGSL functions that the functions below use. */
export function scaleDeclarations(options: AttentionTiledOptions): string {
  return tileOf(options).storage === "f32" ? "" : `
// The exponent of a row's largest weight, as f32 stores it. The clamp makes sure that the
// powers of two from enlargement and reduction are finite and above zero.
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
 * Publishes the largest of this invocation's weights `name{a}_{b}_{c}` in each row, except those of
 * masked columns. It needs a barrier after the last read of `partial`, and one before
 * `shareScaled`.
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

/**
 * Shares the weights as `share` does; with f16, it first scales each row to a size that f16 keeps.
 */
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

/** The factor by which `accumulate` multiplies the weights of `shareScaled` to undo their scale. */
export function unitOf(options: AttentionTiledOptions, name: string): (a: number) => string {
  return tileOf(options).storage === "f32" ? () => "" : (a) => `${name}Unit${a} * `;
}
