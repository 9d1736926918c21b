/**
 * The uncertainty of a ceiling. A ceiling in ns is a median of times and has a median's interval.
 * Any other ceiling is the greatest rate of many samples. Other work on the machine only lowers
 * rates, so the true ceiling is at least the greatest measured rate.
 *
 * Source: D. S. Robson, J. H. Whitlock, Estimation of a truncation point (1964). Assume that the
 * density of rates is constant just below the true ceiling. Then the gap from the greatest sample
 * to the true ceiling has the same exponential distribution as the gap between any two neighbors
 * among the greatest samples. The source's interval uses the two greatest samples. This file's
 * interval uses five, so it is about a quarter as wide on average.
 */
import { type Interval, medianInterval } from "../../statistics/summary.ts";
import type { Ceiling } from "../result_file.ts";

const GREATEST = 5;
/** The probability that the true ceiling lies beyond the interval. */
const BEYOND = 0.05;
/** A ceiling gets a remark if the true ceiling may exceed the figure by more than this share. */
const REMARKABLE = 0.1;
/** Measurements get no share of a ceiling that the true ceiling may exceed by more than this. */
const UNSURE = 0.3;

/**
 * The interval of the greatest possible rate.
 *
 * @param rates positive, at least one
 * @returns an interval that begins at the greatest sample; undefined for fewer than two samples
 */
export function greatestRateInterval(rates: readonly number[]): Interval | undefined {
  const greatest = rates.toSorted((a, b) => b - a).slice(0, GREATEST);
  const [first] = greatest;
  if (first === undefined || greatest.length < 2) return undefined;
  // The true ceiling lies beyond the interval with the probability (1 + factor)^−k, where k is the
  // number of gaps between the greatest samples. Solve BEYOND = (1 + factor)^−k for the factor.
  const factor = BEYOND ** (-1 / (greatest.length - 1)) - 1;
  return { low: first, high: first + factor * (first - greatest.at(-1)!) };
}

/**
 * Returns the interval that a ceiling has, or else computes it from the ceiling's samples.
 *
 * @returns undefined for a figure with neither an interval nor enough samples
 */
export function ceilingInterval(ceiling: Ceiling<string>): Interval | undefined {
  const { interval, unit, samples = [] } = ceiling;
  return interval ?? (unit === "ns" ? medianInterval(samples) : greatestRateInterval(samples));
}

// The share by which the true ceiling may exceed the figure; 0 if the ceiling has no interval.
function slack(ceiling: Ceiling<string>): number {
  const interval = ceilingInterval(ceiling);
  return interval === undefined ? 0 : interval.high / ceiling.value - 1;
}

/**
 * Whether a ceiling is too uncertain to compute shares of it. A ceiling for which
 * {@linkcode ceilingInterval} returns undefined counts as certain.
 */
export function isUnsure(ceiling: Ceiling<string>): boolean {
  return slack(ceiling) > UNSURE;
}

/** Adds the interval to a ceiling with samples, and a remark if a rate's interval is wide. */
export function withInterval<Unit extends string>(ceiling: Ceiling<Unit>): Ceiling<Unit> {
  const { interval: _, remark: _remark, ...rest } = ceiling;
  const interval = ceilingInterval(rest);
  const wide = rest.unit === "ns" ? 0 : slack(rest);
  const remark = "uncertain, the best samples differ" +
    (wide > UNSURE ? "; shares of it are left out" : "");
  return {
    ...rest,
    ...interval === undefined ? {} : { interval },
    ...wide > REMARKABLE ? { remark } : {},
  };
}
