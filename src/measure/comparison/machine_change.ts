/**
 * Tells whether the machine itself changed between two runs, and how to judge a row's change then.
 *
 * The reference kernel is the same work in both runs. If it took longer, a lower clock or other
 * work slowed the machine, and slowed some operators more than others. The processes of one run all
 * meet the machine in one state, so they cannot show the slowdown; the other rows of the table can.
 * Most kernels did not change between two runs, so the median of the rows' changes shows the
 * machine's effect. The scatter of these changes shows how much that effect varies (the empirical
 * null of B. Efron, Large-scale simultaneous hypothesis testing, 2004).
 */
import { median } from "../../statistics/summary.ts";
import type { EstimatedDifference, TimeEstimates } from "../estimate.ts";

/** The machine counts as changed if the reference kernel's time differs by more than this share. */
export const MACHINE_CHANGE = 0.03;

/** With fewer rows than this, the machine's effect on them is not estimated. */
const LEAST_ROWS = 6;

/** A normal distribution's standard deviation divided by its median absolute deviation. */
const MAD_TO_DEVIATION = 1.4826;

/**
 * The efficiency of the median absolute deviation: from n values it is only as precise as the
 * standard deviation from 0.37 n values. So it has 0.37 times as many degrees of freedom.
 */
const MAD_EFFICIENCY = 0.37;

/** How a machine changed between two runs on it. */
export interface MachineChange {
  /** The logarithm of the reference kernel's time in the second run divided by the first's. */
  readonly reference: number;
  /** How the times of the table's rows changed; undefined if there are too few rows. */
  readonly rows: {
    /** The median of the logarithms of the rows' changes. */
    readonly center: number;
    /** The standard deviation of these logarithms, from their median absolute deviation. */
    readonly deviation: number;
    readonly df: number;
  } | undefined;
}

/**
 * Estimates how the machine changed.
 *
 * @param pairs the rows that both files of one machine have
 * @returns undefined if the machine did not change, or if a run lacks the reference kernel
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
 * The change of a row relative to the other rows.
 *
 * @param time the change of the row's time
 * @param change how the machine changed
 * @returns the relative change; a change of 0 if too few rows show how the machine changed
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
