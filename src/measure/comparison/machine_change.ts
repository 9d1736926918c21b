/**
 * Whether the machine itself changed between two runs, and what a row's change is worth then.
 *
 * The reference kernel is the same work in every file. If it took longer, the clock or other work
 * slowed the machine, and that slows some operators more than others: several processes of one run
 * meet the same machine and cannot tell. The other rows of the table can. Most rows of two runs
 * on one machine did not change by themselves, so their median shows what the machine did, and their
 * scatter how unequally it did so (the empirical null of B. Efron, Large-scale simultaneous
 * hypothesis testing, 2004).
 */
import { median } from "../../statistics/summary.ts";
import type { EstimatedDifference, TimeEstimates } from "../estimate.ts";

/** The machine counts as changed if the reference kernel took this much longer or shorter. */
export const MACHINE_CHANGE = 0.03;

/** Fewer rows do not show what the machine did to each. */
const LEAST_ROWS = 6;

/** The median absolute deviation of a normal distribution, as a multiple of it, is its deviation. */
const MAD_TO_DEVIATION = 1.4826;

/** A median absolute deviation knows its scale as well as 37 % of the values would otherwise. */
const MAD_EFFICIENCY = 0.37;

/** What happened to the machine between two runs on it. */
export interface MachineChange {
  /** The logarithm of how much longer the reference kernel took. */
  readonly reference: number;
  /** What happened to the table's rows; undefined where they are too few. */
  readonly rows: {
    /** The median of the logarithms of the rows' changes. */
    readonly center: number;
    /** Their standard deviation around it, from the median absolute deviation. */
    readonly deviation: number;
    readonly df: number;
  } | undefined;
}

/**
 * Finds out whether the machine changed.
 *
 * @param pairs the rows that both files of one machine have
 * @returns undefined if it did not, or if the reference kernel was not run in both
 */
export function machineChange(
  pairs: readonly { readonly baseline: TimeEstimates; readonly candidate: TimeEstimates }[],
): MachineChange | undefined {
  const references = pairs.flatMap(({ baseline, candidate }) => {
    const [before, after] = [baseline, candidate].map(({ time, relative }) =>
      relative === undefined ? undefined : time.center - relative.center
    );
    return before === undefined || after === undefined ? [] : [after - before];
  });
  const reference = median(references);
  if (reference === undefined || Math.abs(reference) <= Math.log1p(MACHINE_CHANGE)) return;
  const changes = pairs.map(({ baseline, candidate }) =>
    candidate.time.center - baseline.time.center
  );
  if (changes.length < LEAST_ROWS) return { reference, rows: undefined };
  const center = median(changes)!;
  const deviation = MAD_TO_DEVIATION * median(changes.map((change) => Math.abs(change - center)))!;
  return {
    reference,
    rows: { center, deviation, df: MAD_EFFICIENCY * (changes.length - 1) },
  };
}

/**
 * How a row changed beside the other rows.
 *
 * @param time how its time changed
 * @param change what the machine did
 * @returns no change if there are too few rows to show one
 */
export function besideOtherRows(
  time: EstimatedDifference,
  { rows }: MachineChange,
): EstimatedDifference {
  if (rows === undefined) return { center: 0, error: time.error, df: time.df };
  const isOwn = time.error > rows.deviation;
  return {
    center: time.center - rows.center,
    error: isOwn ? time.error : rows.deviation,
    df: isOwn ? time.df : rows.df,
  };
}
