/** Remarks on a comparison's rows: why to trust a time less, and what would settle a doubt. */
import type { Comparison } from "../../measure/comparison.ts";
import type { ComparisonCell, ComparisonRow, JudgedPair } from "../../measure/comparison/rows.ts";
import { formatShape } from "../format.ts";

/** The cause of an ambiguous verdict, and what would settle it. */
function doubtText({ doubt, secondsToSettle }: JudgedPair): string[] {
  if (doubt === undefined) return [];
  const remedy = secondsToSettle !== undefined
    ? `; about ${secondsToSettle} more seconds of --budget in both runs would settle it`
    : doubt.kind === "chance" || doubt.kind === "wide interval"
    ? "; no --budget would settle it, but a quieter machine might"
    : "";
  return [doubt.text + remedy];
}

/** Reasons to trust a cell less; for an ambiguous verdict, also what would settle it. */
function suspicions({ summary, measurement, pair, rooflineShare = 0 }: ComparisonCell): string[] {
  return [
    ...rooflineShare > 1 ? ["faster than its roofline"] : [],
    ...measurement?.reason === undefined ? [] : [measurement.reason],
    ...summary.count > 0 && summary.interval === undefined ? ["too few samples"] : [],
    ...pair === undefined ? [] : doubtText(pair),
    ...summary.multimodal ? ["several modes"] : [],
    ...summary.outliers > summary.count / 10
      ? [`${summary.outliers} of ${summary.count} samples are outliers`]
      : [],
    ...measurement?.warnings ?? [],
  ];
}

export interface Remark {
  /** From 1 on; undefined if the row has no remarks. */
  readonly number: number | undefined;
  /** The measurement, then the name and the remarks of each machine that has any; not escaped. */
  readonly text: string;
}

/** Joins each row's remarks on failures, noise, the bench's warnings and doubts about verdicts. */
export function rowRemarks(comparison: Comparison): Remark[] {
  let count = 0;
  return comparison.rows.map((row) => {
    const parts = row.cells.flatMap((cell, i) => {
      const found = suspicions(cell);
      return found.length === 0 ? [] : [`${comparison.machines[i]!.name}: ${found.join(", ")}`];
    });
    return parts.length === 0
      ? { number: undefined, text: "" }
      : { number: ++count, text: `${keyText(row)}: ${parts.join("; ")}` };
  });
}

function keyText(row: ComparisonRow): string {
  return `${row.kernel} ${row.pass} ${formatShape(row.shape)} ${row.dtype} ${row.cache}`;
}
