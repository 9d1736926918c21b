/**
 * How close a measurement comes to its adapter's ceilings.
 *
 * Source: S. Williams, A. Waterman, D. Patterson, Roofline: an insightful visual performance model
 * for multicore architectures (2009). The ceilings are measured in the same run as the kernels.
 */
import { type Interval, summarize, type Summary } from "../../statistics/summary.ts";
import type { Ceiling, Ceilings, Measurement } from "../result_file.ts";
import { ceilingInterval, isUnsure } from "./uncertainty.ts";

/** A measurement's place under its adapter's roofline. */
export interface RooflinePosition {
  /** The work's least operations divided by its least bytes; undefined for 0 bytes. */
  readonly intensity: number | undefined;
  /**
   * Which of the two ceilings is lower at this intensity; undefined if one of them is missing, or
   * if the measurement has neither operations nor bytes.
   */
  readonly bound: "arithmetic" | "bandwidth" | undefined;
  /**
   * The least time that the ceiling named by `bound` allows, in ns; undefined without `bound`, or
   * if that ceiling is too uncertain.
   */
  readonly leastTime: number | undefined;
  /** The 95 % interval of `leastTime`; undefined without it, or if the ceiling has no interval. */
  readonly leastTimeInterval: Interval | undefined;
}

/** The two ceilings that make a roofline. */
export interface Roofline {
  /** Floating-point operations per second. */
  readonly flopsPerSecond: number;
  /** Bytes per second. */
  readonly bytesPerSecond: number;
}

/**
 * The roofline for a number format.
 *
 * @param ceilings an adapter's measured ceilings
 * @param dtype `f16` has the f16 ceiling. All other formats have the f32 ceiling, even `f16+f32`,
 *   which multiplies and adds in f32
 * @returns undefined if either ceiling was not measured
 */
export function rooflineOf(ceilings: Ceilings, dtype: string): Roofline | undefined {
  const arithmetic = arithmeticCeiling(ceilings, dtype);
  const { copyBandwidth } = ceilings;
  return arithmetic && copyBandwidth
    ? { flopsPerSecond: arithmetic.value, bytesPerSecond: copyBandwidth.value }
    : undefined;
}

function arithmeticCeiling(ceilings: Ceilings, dtype: string): Ceiling<string> | null | undefined {
  return dtype === "f16" ? ceilings.f16Fma : ceilings.f32Fma;
}

/**
 * A measurement's place under the roofline. The measurement's share of the roofline is `leastTime`
 * divided by its median time.
 *
 * A share above 1 means that data came from a cache, which is faster than the measured copy from
 * memory, or that the ceiling is too low ({@linkcode exceededCeilings}).
 *
 * @param measurement the measurement with its flops, bytes and number format
 * @param ceilings its adapter's ceilings
 */
export function rooflinePosition(
  measurement: Pick<Measurement, "flops" | "bytes" | "dtype">,
  ceilings: Ceilings,
): RooflinePosition {
  const { flops, bytes, dtype } = measurement;
  const intensity = bytes > 0 ? flops / bytes : undefined;
  const roofline = rooflineOf(ceilings, dtype);
  if (roofline === undefined || (flops === 0 && bytes === 0)) {
    return { intensity, bound: undefined, leastTime: undefined, leastTimeInterval: undefined };
  }
  const arithmetic = flops / roofline.flopsPerSecond * 1e9;
  const bandwidth = bytes / roofline.bytesPerSecond * 1e9;
  const byArithmetic = arithmetic >= bandwidth;
  const ceiling = byArithmetic ? arithmeticCeiling(ceilings, dtype)! : ceilings.copyBandwidth!;
  const leastTime = Math.max(arithmetic, bandwidth);
  const unsure = isUnsure(ceiling);
  const interval = unsure ? undefined : ceilingInterval(ceiling);
  return {
    intensity,
    bound: byArithmetic ? "arithmetic" : "bandwidth",
    leastTime: unsure ? undefined : leastTime,
    leastTimeInterval: interval && {
      low: leastTime * ceiling.value / interval.high,
      high: leastTime * ceiling.value / interval.low,
    },
  };
}

/**
 * The share of the roofline that a measurement reaches, from its position and its median time.
 *
 * @param position from {@linkcode rooflinePosition}
 * @param summary the measurement's median time with its interval
 * @returns the share; undefined if the least time or the median is missing. The share has an
 *   interval if the least time and the median have one
 */
export function rooflineShare(
  { leastTime, leastTimeInterval }: RooflinePosition,
  { median, interval }: Pick<Summary, "median" | "interval">,
): { readonly share: number; readonly interval: Interval | undefined } | undefined {
  if (leastTime === undefined || median === undefined) return undefined;
  return {
    share: leastTime / median,
    interval: leastTimeInterval && interval && {
      low: leastTimeInterval.low / interval.high,
      high: leastTimeInterval.high / interval.low,
    },
  };
}

/** The ceilings that bound measurements. */
export type BoundingCeiling = "f32Fma" | "f16Fma" | "copyBandwidth";

/** A measurement that is faster than a ceiling of the same run. */
export interface ExceedingMeasurement {
  readonly measurement: Measurement;
  /** The measured rate divided by the ceiling. */
  readonly factor: number;
}

/**
 * Finds the ceilings that measurements of the same run exceed. An exceeded arithmetic ceiling is
 * too low. An exceeded bandwidth can also mean that the data came from a cache.
 *
 * @returns for each such ceiling, the measurement that exceeds it the most
 */
export function exceededCeilings(
  { ceilings, measurements }: {
    readonly ceilings: Ceilings;
    readonly measurements: readonly Measurement[];
  },
): ReadonlyMap<BoundingCeiling, ExceedingMeasurement> {
  const exceeded = new Map<BoundingCeiling, ExceedingMeasurement>();
  for (const measurement of measurements) {
    const { status = "ok", flops, bytes, dtype, samples } = measurement;
    const { median } = summarize(samples);
    if (status !== "ok" || median === undefined || median <= 0) continue;
    const rates: readonly (readonly [BoundingCeiling, number])[] = [
      [dtype === "f16" ? "f16Fma" : "f32Fma", flops],
      ["copyBandwidth", bytes],
    ];
    for (const [name, amount] of rates) {
      const ceiling = ceilings[name];
      if (!ceiling) continue;
      const factor = 1e9 * amount / median / ceiling.value;
      if (factor > 1 && factor > (exceeded.get(name)?.factor ?? 0)) {
        exceeded.set(name, { measurement, factor });
      }
    }
  }
  return exceeded;
}
