/**
 * How well a ceiling is known. It is the greatest rate of many samples, since whatever else a
 * machine does only lowers a rate: the truth is at least that rate, and perhaps more.
 *
 * Source: D. S. Robson, J. H. Whitlock, Estimation of a truncation point (1964). If the density is
 * level near its end, the distances between the greatest samples and from the greatest one to the
 * end are exponential with a rate that rises in whole numbers; the interval below is theirs with the
 * five greatest samples in place of two, which makes it a twentieth as wide.
 */
import { type Interval, medianInterval } from "../../statistics/summary.ts";
import type { Ceiling } from "../result_file.ts";

/** How many of the greatest samples show where the end is. */
const GREATEST = 5;
/** The chance that the truth lies beyond the interval. */
const BEYOND = 0.05;
/** A ceiling that may be higher by more than this share gets a remark. */
const REMARKABLE = 0.1;
/** From a ceiling that may be higher by more than this share, no roofline's share is computed. */
const UNSURE = 0.3;

/**
 * The interval of the greatest rate that is possible.
 *
 * @param rates positive, at least one
 * @returns from the greatest of them; undefined for fewer than two
 */
export function greatestRateInterval(rates: readonly number[]): Interval | undefined {
  const greatest = rates.toSorted((a, b) => b - a).slice(0, GREATEST);
  const [first] = greatest;
  if (first === undefined || greatest.length < 2) return undefined;
  // The least of k distances is what P(beyond) = (1 + factor)^−k solves for.
  const factor = BEYOND ** (-1 / (greatest.length - 1)) - 1;
  return { low: first, high: first + factor * (first - greatest.at(-1)!) };
}

/**
 * The interval of a ceiling: as the file has it, else from the samples.
 *
 * @param ceiling of a result file
 * @returns undefined for a figure without samples
 */
export function ceilingInterval(ceiling: Ceiling<string>): Interval | undefined {
  const { interval, unit, samples = [] } = ceiling;
  return interval ?? (unit === "ns" ? medianInterval(samples) : greatestRateInterval(samples));
}

// The share by which the true ceiling may exceed the figure.
function slack(ceiling: Ceiling<string>): number {
  const interval = ceilingInterval(ceiling);
  return interval === undefined ? 0 : interval.high / ceiling.value - 1;
}

/** Whether a ceiling is known too little for shares of it. Figures without samples pass. */
export function isUnsure(ceiling: Ceiling<string>): boolean {
  return slack(ceiling) > UNSURE;
}

/**
 * A ceiling with its interval, and a remark where the interval is wide.
 *
 * @param ceiling with samples
 */
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
