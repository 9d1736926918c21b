/** Tabulates what tuning found. */
import type { TuningOutcome, TuningWork } from "../../measure/tuning.ts";
import { formatDuration, formatShape, NO_DATA } from "../../report/format.ts";
import { type Cell, formatTerminalTable, numberColumns, textColumns } from "../../report/table.ts";

/**
 * Tabulates the winners and their gains.
 *
 * @param missed calls that the tuner did not reach
 */
export function formatTuningRun(
  outcomes: readonly TuningOutcome[],
  missed: readonly TuningWork[],
  options: { readonly color?: boolean } = {},
): string {
  return formatTerminalTable({
    caption: "The fastest kernels",
    columns: [
      ...textColumns("operator", "calls", "timed on", "default", "winner"),
      ...numberColumns("time", "over default", "over portable", "timed"),
      { title: "remarks" },
    ],
    rows: [...outcomes.map(outcomeRow), ...missed.map(missedRow)],
  }, options);
}

function head({ operator, shapeClass, shape, usual }: TuningWork): Cell[] {
  return [operator.operator, shapeClass, formatShape(shape.dimensions), usual];
}

function outcomeRow(outcome: TuningOutcome): Cell[] {
  const { work, winner, decided, times, overDefault, overPortable, candidates } = outcome;
  const timed = candidates.filter(({ status }) => status === "timed").length;
  const { length } = work.candidates;
  const same = winner === work.usual;
  const text = remarks(work, candidates);
  const bad = candidates.some(({ status }) => status !== "timed" && status !== "skipped");
  return [
    ...head(work),
    winner === undefined
      ? { text: "none", tone: "bad" as const }
      : !decided
      ? { text: "undecided", tone: "unsure" as const }
      : same
      ? { text: "the default", tone: "faint" as const }
      : { text: winner, tone: "good" as const },
    formatDuration(times.winner),
    same || overDefault === undefined ? "" : formatFactor(overDefault),
    overPortable === undefined ? NO_DATA : formatFactor(overPortable),
    `${timed}/${length}`,
    { text, tone: bad ? "bad" as const : "faint" as const },
  ];
}

function missedRow(work: TuningWork): Cell[] {
  const reason = { text: "not reached within the budget", tone: "unsure" as const };
  return [...head(work), "", "", "", "", `0/${work.candidates.length}`, reason];
}

function formatFactor(factor: number): string {
  return `${factor < 9.995 ? factor.toFixed(2) : factor.toFixed(1)}×`;
}

function remarks(work: TuningWork, candidates: TuningOutcome["candidates"]): string {
  const count = (list: readonly unknown[], text: string): string[] =>
    list.length === 0 ? [] : [`${list.length} ${text}`];
  const skipped = candidates.filter(({ status }) => status === "skipped");
  return [
    ...candidates.filter(({ status }) => status !== "timed" && status !== "skipped")
      .map(({ variant, status, reason }) =>
        `${variant} ${status === "timed-out" ? "timed out" : status}` +
        (reason === undefined ? "" : `: ${reason.slice(0, 120)}`)
      ),
    ...count(candidates.filter(({ beaten }) => beaten === true), "dropped out early"),
    ...count(skipped, "left out"),
    ...count(work.unfit, "cannot run here"),
  ].join("; ");
}
