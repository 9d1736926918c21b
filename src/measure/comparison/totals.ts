/** Each machine's totals over a comparison's rows. */
import { differenceOf, ratioInterval, type TimeEstimates } from "../estimate.ts";
import type { Measurement } from "../result_file.ts";
import type { Interval } from "../../statistics/summary.ts";
import type { PairedEstimates } from "./joint_run.ts";
import type { ComparisonRow } from "./rows.ts";
import type { Verdict } from "./verdict.ts";

/** One machine's totals over all rows. */
export interface MachineTotal {
  /** Geometric mean of the time divided by the row's best, over the rows that all machines have. */
  readonly geometricMean: number | undefined;
  /** Mean rank over the rows that all machines have. */
  readonly meanRank: number | undefined;
  /** Geometric mean of the share of the roofline, over the rows with a share on this machine. */
  readonly rooflineShare: number | undefined;
  /** The interval of `rooflineShare`: its ends are geometric means of the rows' interval ends. */
  readonly rooflineInterval: Interval | undefined;
  /**
   * Geometric mean of the time relative to that on the first machine, over the rows that both have.
   */
  readonly ratioToFirst: number | undefined;
  /** The 95 % interval of `ratioToFirst`. */
  readonly ratioInterval: Interval | undefined;
  /** The number of rows with each verdict. */
  readonly verdicts: Readonly<Record<Verdict, number>>;
}

/** The geometric mean of positive numbers; undefined for an empty list. */
export function geometricMean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

function defined(values: readonly (number | undefined)[]): number[] {
  return values.filter((value) => value !== undefined);
}

/**
 * Computes a machine's totals.
 *
 * @param rows the comparison's rows
 * @param options.complete the rows in which every machine has a rank
 * @param options.index the machine's index
 * @param options.estimates each machine's estimates by measurement
 * @param options.paired in a joint run: how each of the machine's measurements changed from the
 *   first file
 */
export function totalOf(
  rows: readonly ComparisonRow[],
  { complete, index, estimates, paired }: {
    readonly complete: readonly ComparisonRow[];
    readonly index: number;
    readonly estimates: readonly ReadonlyMap<Measurement, TimeEstimates>[];
    readonly paired?: ReadonlyMap<Measurement, PairedEstimates> | undefined;
  },
): MachineTotal {
  const ranks = complete.map(({ cells }) => cells[index]!.rank!);
  const verdicts = { faster: 0, slower: 0, same: 0, ambiguous: 0, "no data": 0 };
  for (const { cells } of rows) {
    const verdict = cells[index]!.pair?.verdict;
    if (verdict !== undefined) verdicts[verdict]++;
  }
  const pairs = rows.flatMap(({ cells }) => {
    const [first, own] = [cells[0]!, cells[index]!];
    if (index === 0 || own.pair?.ratio === undefined) return [];
    const changes = paired?.get(own.measurement!);
    const change = own.pair.evidence[0]?.of === "CPU time" ? changes?.cpu : changes?.time;
    if (change !== undefined) {
      return [{ baseline: { ...change, center: 0, errors: [] }, candidate: change }];
    }
    return [{
      baseline: estimates[0]!.get(first.measurement!)!.time,
      candidate: estimates[index]!.get(own.measurement!)!.time,
    }];
  });
  const difference = differenceOf(pairs);
  // Leave out rows whose roofline share is unknown, or 0, which has no logarithm.
  const shares = rows.map(({ cells }) => cells[index]!)
    .filter((cell) => (cell.rooflineShare ?? 0) > 0);
  const ends = (end: keyof Interval): number | undefined => {
    const values = shares.map(({ rooflineInterval }) => rooflineInterval?.[end]);
    return values.includes(undefined) ? undefined : geometricMean(defined(values));
  };
  const [low, high] = [ends("low"), ends("high")];
  return {
    geometricMean: geometricMean(complete.map(({ cells }) => cells[index]!.relativeToBest!)),
    meanRank: ranks.length === 0
      ? undefined
      : ranks.reduce((sum, rank) => sum + rank, 0) / ranks.length,
    rooflineShare: geometricMean(shares.map(({ rooflineShare }) => rooflineShare!)),
    rooflineInterval: low === undefined || high === undefined ? undefined : { low, high },
    ratioToFirst: difference && Math.exp(difference.center),
    ratioInterval: difference && ratioInterval(difference),
    verdicts,
  };
}
