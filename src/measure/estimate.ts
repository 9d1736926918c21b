/**
 * Estimates each measurement of a result file from its processes: its time, and the time's error.
 *
 * A process gives one value, the logarithm of its samples' median, because samples of one process
 * are not independent. A file's values form a table with a row for each measurement and a column
 * for each round, in which one process takes all measurements. A busy machine or a low clock moves
 * all values of a round. So the table is split into each measurement's mean, each round's effect,
 * and a rest. The error of a mean has two sources. The first is the rounds' effects, which all
 * measurements share; their variance has one degree of freedom less than there are rounds. The
 * second is the rest. Its variances are moderated (pulled toward a value common to all
 * measurements), because a variance from as few as three rounds is very uncertain. Intervals are
 * Welch's, with Satterthwaite's degrees of freedom.
 *
 * Sources: T. Kalibera, R. Jones, Rigorous benchmarking in reasonable time (2013), on why to count
 * processes instead of samples; B. L. Welch, The generalization of "Student's" problem when several
 * different population variances are involved (1947); and `src/statistics/moderation.ts`.
 */
import { type EstimatedVariance, moderateVariances } from "../statistics/moderation.ts";
import { studentQuantile, studentTail } from "../statistics/student.ts";
import {
  type Interval,
  median,
  outlierCount,
  summarize,
  type Summary,
} from "../statistics/summary.ts";
import { isMultimodal } from "../statistics/modes.ts";
import type { Measurement } from "./result_file.ts";
import { processesOf } from "./rounds.ts";
import { mean, sum } from "../statistics/mean.ts";

/**
 * The standard deviation that is assumed for the logarithm of a process's median if only one
 * process took the measurement. On quiet machines, processes' medians differed by up to 17 %.
 */
export const ASSUMED_DEVIATION = 0.1;

/** The most degrees of freedom. This number stands for infinity, which JSON cannot store. */
const MOST_DF = 1e9;

/** A mean of logarithms, and the variances of its independent sources of error. */
export interface Estimate {
  readonly center: number;
  readonly errors: readonly EstimatedVariance[];
  /** The number of processes. */
  readonly processes: number;
}

/**
 * Computes the logarithm of a process's median, or of a ratio of its medians. Returns undefined if
 * a median is missing or not positive.
 */
type ProcessValue = (process: {
  readonly samples: readonly number[];
  readonly cpuSamples: readonly number[];
  readonly throttleSamples: readonly number[];
}) => number | undefined;

/** Estimates of the logarithms of a measurement's times in ns. */
export interface TimeEstimates {
  readonly time: Estimate;
  /** The CPU time. Undefined unless every process measured it. */
  readonly cpu: Estimate | undefined;
  /**
   * The time divided by the time of the fixed reference kernel (see sampling.ts), measured in the
   * same process. Undefined unless every process measured that kernel.
   */
  readonly relative: Estimate | undefined;
}

const logarithm = (list: readonly number[]): number | undefined => {
  const center = median(list);
  return center === undefined || center <= 0 ? undefined : Math.log(center);
};

const series: Readonly<Record<keyof TimeEstimates, ProcessValue>> = {
  time: ({ samples }) => logarithm(samples),
  cpu: ({ cpuSamples }) => logarithm(cpuSamples),
  relative({ samples, throttleSamples }) {
    const [own, reference] = [logarithm(samples), logarithm(throttleSamples)];
    return own === undefined || reference === undefined ? undefined : own - reference;
  },
};

/**
 * Estimates the times of one file's measurements, together because they share the rounds' effects.
 *
 * @param measurements one file's measurements; those without samples are left out
 */
export function estimateTimes(
  measurements: readonly Measurement[],
): ReadonlyMap<Measurement, TimeEstimates> {
  const timed = measurements.filter(({ samples }) => samples.length > 0);
  const time = estimateSeries(timed, series.time);
  const cpu = estimateSeries(timed, series.cpu);
  const relative = estimateSeries(timed, series.relative);
  return new Map(timed.flatMap((each) => {
    const found = time.get(each);
    if (found === undefined) return [];
    return [[each, { time: found, cpu: cpu.get(each), relative: relative.get(each) }] as const];
  }));
}

interface Row<Key> {
  readonly key: Key;
  /** The values by round. */
  readonly values: ReadonlyMap<number, number>;
  readonly center: number;
}

function estimateSeries(
  measurements: readonly Measurement[],
  value: ProcessValue,
): ReadonlyMap<Measurement, Estimate> {
  const found = measurements.flatMap((measurement) => {
    const values = valuesOf(measurement, value);
    return values === undefined ? [] : [[measurement, values] as const];
  });
  return new Map(
    [...estimateRows(new Map(found))].map(([measurement, estimate]) => [
      measurement,
      estimate.processes < 2 ? aloneEstimate(measurement, estimate.center) : estimate,
    ]),
  );
}

/**
 * Estimates the mean of each row of a table, and the mean's error.
 *
 * @param table each row's values by round, at least one value a row. For a row with only one value,
 *   the estimate's `errors` are empty
 */
export function estimateRows<Key>(
  table: ReadonlyMap<Key, ReadonlyMap<number, number>>,
): ReadonlyMap<Key, Estimate> {
  const rows = [...table].map(([key, values]): Row<Key> => {
    return { key, values, center: mean(values.values()) };
  });
  const repeated = rows.filter(({ values }) => values.size > 1);
  const effects = roundEffects(repeated);
  const rounds = effects.size;
  const common: EstimatedVariance = {
    variance: sum([...effects.values()].map((effect) => effect ** 2)) / Math.max(1, rounds - 1),
    df: Math.max(0, rounds - 1),
  };
  // Estimating the rounds' effects uses up some of each row's degrees of freedom; `part` is the
  // share that remains.
  const part = repeated.length === 0 ? 0 : 1 - 1 / repeated.length;
  const own = moderateVariances(rows.map(({ values, center }) => {
    const df = part * (values.size - 1);
    if (values.size < 2 || df === 0) return { variance: 0, df: 0 };
    const squares = [...values].map(([round, each]) => (each - center - effects.get(round)!) ** 2);
    return { variance: sum(squares) / df, df };
  }));
  return new Map(rows.map(({ key, values, center }, i): [Key, Estimate] => {
    const processes = values.size;
    if (processes < 2) return [key, { center, errors: [], processes }];
    const errors = [common, { ...own[i]!, variance: part * own[i]!.variance }]
      .filter(({ df }) => df > 0)
      .map(({ variance, df }) => ({ variance: variance / processes, df }));
    return [key, { center, errors, processes }];
  }));
}

// The estimate from a single process. Its two errors are the assumed scatter between processes, and
// the scatter of the process's samples.
function aloneEstimate({ samples }: Measurement, center: number): Estimate {
  const logs = samples.map(Math.log);
  const scatter = logs.length < 2
    ? ASSUMED_DEVIATION ** 2
    : sum(logs.map((log) => (log - mean(logs)) ** 2)) / (logs.length - 1) / logs.length;
  return {
    center,
    errors: [
      { variance: ASSUMED_DEVIATION ** 2, df: Infinity },
      { variance: (Math.PI / 2) * scatter, df: Math.max(1, logs.length - 1) },
    ],
    processes: 1,
  };
}

function roundEffects<Key>(rows: readonly Row<Key>[]): ReadonlyMap<number, number> {
  const deviations = new Map<number, number[]>();
  for (const { values, center } of rows) {
    for (const [round, value] of values) {
      const list = deviations.get(round) ?? [];
      list.push(value - center);
      deviations.set(round, list);
    }
  }
  return new Map([...deviations].map(([round, list]) => [round, mean(list)]));
}

// Maps each process's round to the process's value. Returns undefined if any process has no value.
function valuesOf(
  measurement: Measurement,
  value: ProcessValue,
): ReadonlyMap<number, number> | undefined {
  const { samples, cpuSamples = [], throttleSamples = [] } = measurement;
  const values = new Map<number, number>();
  let first = 0;
  let reference = 0;
  for (const process of processesOf(measurement)) {
    const [end, referenceEnd] = [first + process.samples, reference + process.throttleSamples];
    const found = value({
      samples: samples.slice(first, end),
      cpuSamples: cpuSamples.slice(first, end),
      throttleSamples: throttleSamples.slice(reference, referenceEnd),
    });
    if (found === undefined) return undefined;
    values.set(process.round, found);
    [first, reference] = [end, referenceEnd];
  }
  return values.size === 0 ? undefined : values;
}

/** A difference of logarithms with its error. */
export interface EstimatedDifference {
  readonly center: number;
  /** Standard error. */
  readonly error: number;
  /** Degrees of freedom of the error, by Welch and Satterthwaite. */
  readonly df: number;
}

/**
 * Computes the mean difference, candidate minus baseline, and its error.
 *
 * @param pairs each candidate's estimate with its baseline's
 * @returns the difference of logarithms; undefined if there are no pairs
 */
export function differenceOf(
  pairs: readonly { readonly baseline: Estimate; readonly candidate: Estimate }[],
): EstimatedDifference | undefined {
  const count = pairs.length;
  if (count === 0) return undefined;
  const center = sum(pairs.map(({ baseline, candidate }) => candidate.center - baseline.center));
  // All measurements of a file share the first source of errors, so averaging does not reduce it.
  const terms = [...pairs.map((pair) => pair.baseline), ...pairs.map((pair) => pair.candidate)]
    .flatMap(({ errors }) =>
      errors.map(({ variance, df }, source) => ({
        variance: variance / (source === 0 ? count : count ** 2),
        df: source === 0 ? df / count : df,
      }))
    );
  const variance = sum(terms.map((term) => term.variance));
  const squares = sum(terms.map((term) => term.variance ** 2 / term.df));
  return {
    center: center / count,
    error: Math.sqrt(variance),
    df: squares > 0 ? Math.min(MOST_DF, variance ** 2 / squares) : MOST_DF,
  };
}

/** Computes a ratio's confidence interval from the difference of the logarithms. */
export function ratioInterval(
  { center, error, df }: EstimatedDifference,
  confidence = 0.95,
): Interval {
  const reach = studentQuantile((1 - confidence) / 2, df) * error;
  return { low: Math.exp(center - reach), high: Math.exp(center + reach) };
}

/** The two-sided p-value for the hypothesis that a difference of logarithms is 0. */
export function differencePValue({ center, error, df }: EstimatedDifference): number {
  if (center === 0) return 1;
  return error === 0 ? 0 : Math.min(1, 2 * studentTail(Math.abs(center) / error, df));
}

/**
 * Summarizes the measurements of a file. With several processes, a measurement's time is the
 * geometric mean of the processes' medians, and its interval comes from how the processes differ.
 */
export function summarizeMeasurements(
  measurements: readonly Measurement[],
): ReadonlyMap<Measurement, Summary> {
  const estimates = estimateTimes(measurements);
  return new Map(measurements.map((measurement) => {
    const { samples } = measurement;
    const found = estimates.get(measurement)?.time;
    if (found === undefined || found.processes < 2) {
      return [measurement, summarize(samples)] as const;
    }
    const difference = differenceOf([{
      baseline: { center: 0, errors: [], processes: found.processes },
      candidate: found,
    }])!;
    const interval = ratioInterval(difference);
    const center = Math.exp(found.center);
    return [measurement, {
      count: samples.length,
      median: center,
      interval,
      relativeHalfWidth: (interval.high - interval.low) / 2 / center,
      outliers: outlierCount(samples),
      multimodal: isMultimodal(samples),
    }] as const;
  }));
}
