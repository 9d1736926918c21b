/**
 * Arithmetic that the measurements share: norms of rows, quantiles, and comparisons of one position
 * with others.
 */
import type { Quartiles, SinkComparison } from "./measurement/comparison.ts";
import type { SinkSettings } from "./measurement/settings.ts";

/** Elements of a traced tensor, row-major. */
export type Numbers = Float32Array | Float64Array;

/** The Euclidean norm of the `width` elements from `start` on, summed in float64. */
export function rowNorm(data: Numbers, start: number, width: number): number {
  let sum = 0;
  for (let i = start; i < start + width; i++) sum += data[i]! * data[i]!;
  return Math.sqrt(sum);
}

/** ‖a − b‖ of two rows that begin at the same index. */
export function rowDistance(
  [a, b]: readonly [Numbers, Numbers],
  start: number,
  width: number,
): number {
  let sum = 0;
  for (let i = start; i < start + width; i++) {
    const difference = a[i]! - b[i]!;
    sum += difference * difference;
  }
  return Math.sqrt(sum);
}

/** ⟨a, b⟩ of two rows. */
export function rowDot(
  a: Numbers,
  b: Numbers,
  at: { readonly a: number; readonly b: number; readonly width: number },
): number {
  let sum = 0;
  for (let i = 0; i < at.width; i++) sum += a[at.a + i]! * b[at.b + i]!;
  return sum;
}

/**
 * A quantile by linear interpolation between order statistics, numpy's default (Hyndman and Fan's
 * type 7).
 *
 * @param ascending finite numbers in increasing order, at least one
 * @param level between 0 and 1
 */
export function quantile(ascending: ArrayLike<number>, level: number): number {
  const place = level * (ascending.length - 1);
  const below = Math.floor(place);
  const low = ascending[below]!;
  const high = ascending[Math.min(below + 1, ascending.length - 1)]!;
  return low + (place - below) * (high - low);
}

export function medianOf(values: Iterable<number>): number | undefined {
  const ascending = Float64Array.from(values).sort();
  return ascending.length === 0 ? undefined : quantile(ascending, 0.5);
}

export function quartilesOf(values: readonly number[]): Quartiles | null {
  if (values.length === 0) return null;
  const ascending = Float64Array.from(values).sort();
  return {
    lower: quantile(ascending, 0.25),
    median: quantile(ascending, 0.5),
    upper: quantile(ascending, 0.75),
  };
}

export function ratioOf(a: number, b: number): number | null {
  return b === 0 ? null : a / b;
}

/** Compares the value at position s with the mean over positions `first` to `last` without s. */
export function compareWith(
  byPosition: ArrayLike<number>,
  { position, first, last }: {
    readonly position: number;
    readonly first: number;
    readonly last: number;
  },
): SinkComparison {
  let sum = 0, count = 0;
  for (let t = first; t <= last && t < byPosition.length; t++) {
    if (t === position) continue;
    sum += byPosition[t]!;
    count++;
  }
  const sink = byPosition[position]!;
  return { sink, early: sum / count, ratio: ratioOf(sink, sum / count) };
}

/** Compares the value at position s with the mean over the early tokens. */
export function compareEarly(
  byPosition: ArrayLike<number>,
  { position, early: [first, last] }: SinkSettings,
): SinkComparison {
  return compareWith(byPosition, { position, first, last });
}

/**
 * The positions that arrays marked [positions] cover: all up to `dense`, then 2 t + 1 after each
 * position t (by default 63, 127, …). Position s and the last position are always among them.
 *
 * @param context T
 * @param options s, and `dense` (default 31)
 */
export function thinnedPositions(
  context: number,
  options: { readonly position: number; readonly dense?: number },
): number[] {
  const { position, dense = 31 } = options;
  const kept = new Set<number>([position, context - 1]);
  for (let t = 0; t < context && t <= dense; t++) kept.add(t);
  for (let t = 2 * dense + 1; t < context; t = 2 * t + 1) kept.add(t);
  return [...kept].sort((a, b) => a - b);
}

/**
 * Refuses settings that a sequence of T tokens does not allow.
 *
 * @param context T
 * @throws {RangeError} that names the setting, its value and what is wanted, or says that no
 *   position is left to compare s with
 */
export function checkSettings(settings: SinkSettings, context: number): void {
  const integer = (name: string, given: number, least: number, most = Number.MAX_SAFE_INTEGER) => {
    if (!Number.isSafeInteger(given) || given < least || given > most) {
      const wanted = most === Number.MAX_SAFE_INTEGER
        ? `of at least ${least}`
        : `from ${least} to ${most}`;
      throw new RangeError(`sinks: ${name} is ${given}, wanted an integer ${wanted}`);
    }
  };
  const { position, window, threshold, lastGradientPosition, idleFrom, early } = settings;
  integer("position", position, 0, context - 1);
  integer("window", window, 1);
  integer("lastGradientPosition", lastGradientPosition, 0);
  integer("idleFrom", idleFrom, 0);
  integer("early[0]", early[0], 0, context - 1);
  integer("early[1]", early[1], early[0]);
  if (!(threshold >= 0 && threshold <= 1)) {
    throw new RangeError(`sinks: threshold is ${threshold}, wanted a number from 0 to 1`);
  }
  const others = (first: number, last: number) => {
    const count = Math.min(last, context - 1) - first + 1;
    return count - (position >= first && position <= last ? 1 : 0);
  };
  if (others(early[0], early[1]) < 1 || others(0, lastGradientPosition) < 1) {
    throw new RangeError(
      `sinks: a sequence of ${context} tokens has no early token to compare position ${position} with`,
    );
  }
}

/** The unit roundoff and the smallest normal number of an array's type. */
export function precisionOf(data: Numbers): { readonly unit: number; readonly tiny: number } {
  return data instanceof Float32Array
    ? { unit: 2 ** -24, tiny: 2 ** -126 }
    : { unit: 2 ** -53, tiny: 2 ** -1022 };
}
