/**
 * Position scales with the same ticks as d3-scale's. Of d3-scale itself, only `tickFormat` is used:
 * d3-scale's scales also import colors and interpolation, as much code as all other drawing takes.
 */
// @ts-types="npm:@types/d3-array@3"
import { ticks as niceTicks } from "d3-array";
// @ts-types="npm:@types/d3-format@3"
import { format, formatSpecifier } from "d3-format";
// @ts-types="npm:@types/d3-scale@4"
import { tickFormat as linearFormat } from "d3-scale";

/** A number format: d3's specifier, or a function. */
export type NumberFormat = string | ((value: number) => string);

/** A position scale. */
export interface Scale {
  (value: unknown): number;
  /** The width of a step in pixels; 0 for a scale of numbers. */
  readonly width: number;
  readonly ticks: readonly { readonly value: unknown; readonly label: string }[];
}

/** The area in which a mark is drawn. */
export interface Frame {
  readonly x: Scale;
  readonly y: Scale | undefined;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** A scale of numbers. */
export interface NumberScale {
  (value: number): number;
  ticks(count: number): number[];
  /** Returns the function that writes a tick's label. A label that would not fit is empty. */
  format(count: number, wanted: NumberFormat): (value: number) => string;
}

/**
 * A linear scale.
 *
 * @param domain two different numbers
 * @param range the positions of the domain's two ends, in pixels
 */
export function linearScale(
  [from, to]: [number, number],
  [start, end]: [number, number],
): NumberScale {
  const place = (value: number): number => start + (value - from) / (to - from) * (end - start);
  return Object.assign(place, {
    ticks: (count: number): number[] => niceTicks(from, to, count),
    format: (count: number, wanted: NumberFormat) =>
      typeof wanted === "function" ? wanted : linearFormat(from, to, count, wanted),
  });
}

/**
 * A logarithmic scale.
 *
 * @param domain two different positive numbers, the lesser one first
 * @param range the positions of the domain's two ends, in pixels
 */
export function logScale(domain: [number, number], range: [number, number]): NumberScale {
  const [low, high] = domain;
  const linear = linearScale([Math.log10(low), Math.log10(high)], range);
  const power = (exponent: number): number => Number(`1e${exponent}`);
  const ticks = (count: number): number[] => {
    const [first, last] = [Math.log10(low), Math.log10(high)];
    // Over many decades, use only some powers of ten.
    if (last - first >= count) {
      return niceTicks(first, last, Math.min(last - first, count)).map((each) =>
        Number.isInteger(each) ? power(each) : 10 ** each
      );
    }
    const found: number[] = [];
    for (let exponent = Math.floor(first); exponent <= Math.ceil(last); exponent++) {
      for (let digit = 1; digit < 10; digit++) {
        const tick = exponent < 0 ? digit / power(-exponent) : digit * power(exponent);
        if (tick >= low && tick <= high) found.push(tick);
      }
    }
    // A domain of less than a decade may contain few of these ticks. Then use a linear scale's.
    return 2 * found.length < count ? niceTicks(low, high, count) : found;
  };
  return Object.assign((value: number) => linear(Math.log10(value)), {
    ticks,
    format(count: number, wanted: NumberFormat): (value: number) => string {
      const write = typeof wanted === "function" ? wanted : trimmed(wanted);
      // Only the first few ticks of each decade have room for text.
      const most = Math.max(1, 10 * count / ticks(10).length);
      return (value: number) => {
        let digit = value / power(Math.round(Math.log10(value)));
        if (10 * digit < 9.5) digit *= 10;
        return digit <= most ? write(value) : "";
      };
    },
  });
}

function trimmed(wanted: string): (value: number) => string {
  const specifier = formatSpecifier(wanted);
  if (specifier.precision === undefined) specifier.trim = true;
  return format(specifier.toString());
}

/**
 * A scale that gives each value its own piece of the axis, a step. Called with a value, the scale
 * returns the start of the value's step, in pixels.
 */
export interface StepScale {
  (value: unknown): number;
  readonly width: number;
}

/**
 * A scale of steps that begin at whole pixels.
 *
 * @param domain the values in the order of their steps
 * @param range the positions of the axis's two ends in pixels, the lesser one first
 * @param padding as shares of the distance between the starts of two steps: `inner`, the space
 *   between steps (if it is 1, the steps are points); `outer`, the space at each end
 */
export function stepScale(
  domain: readonly unknown[],
  [start, end]: [number, number],
  { inner, outer }: { readonly inner: number; readonly outer: number },
): StepScale {
  const step = Math.floor((end - start) / Math.max(1, domain.length - inner + 2 * outer));
  const first = Math.round(start + (end - start - step * (domain.length - inner)) / 2);
  const places = new Map(domain.map((value, i) => [value, first + step * i]));
  return Object.assign((value: unknown) => places.get(value)!, {
    width: Math.round(step * (1 - inner)),
  });
}
