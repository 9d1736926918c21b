/** The comparison as tables. */
import { basename } from "node:path";
import { median, medianInterval } from "../../src/statistics/summary.ts";
import { formatDuration, formatShape, NO_DATA } from "../../src/report/format.ts";
import { type Cell, numberColumns, type Table, textColumns } from "../../src/report/table.ts";
import { bestOfEach, type PeerResult, type Ratio, ratioOf, type WorkResult } from "./compare.ts";
import { libraries, type LibraryName } from "./libraries.ts";
import type { Work } from "./works.ts";

const BASE = "gradsink";

/** A table of all libraries and works, with times, ratios and intervals. */
export function peerTable(
  works: readonly WorkResult[],
  { caption }: { readonly caption: string },
): Table {
  return {
    caption,
    columns: [
      ...textColumns("work", "library", "by"),
      ...numberColumns("time", "95 % interval", "over gradsink", "in CPU time", "error"),
      { title: "remarks" },
    ],
    rows: works.flatMap(({ work, results }) => {
      const best = bestOfEach(results);
      const base = best.find(({ library, status }) => library === BASE && status === "ok");
      return best.map((result, i) => [
        i === 0 ? `${titleOf(work)} ${work.pass}, ${formatShape(work.dimensions)}` : "",
        ...resultCells(result, { base, others: results.filter((each) => each !== result) }),
      ]);
    }),
  };
}

function titleOf({ operator, folder }: Work): string {
  return folder === undefined ? operator : basename(folder);
}

function resultCells(
  result: PeerResult,
  { base, others }: {
    readonly base: PeerResult | undefined;
    readonly others: readonly PeerResult[];
  },
): Cell[] {
  const { library, way, status, samples, cpuSamples, error, reason } = result;
  const { title } = libraries[library as LibraryName] ?? { title: library };
  const time = status === "ok" ? median(samples) : undefined;
  const interval = status === "ok" ? medianInterval(samples) : undefined;
  const own = library === BASE;
  const over = own || base === undefined ? undefined : ratioOf(samples, base.samples);
  const cpu = own || base === undefined ? undefined : ratioOf(cpuSamples, base.cpuSamples);
  // The row shows the library's best way to do the work. List the faults of its other ways, too.
  const remarks = [
    ...reason === undefined ? [] : [reason],
    ...others.filter((other) =>
      other.library === library && other.status !== "ok" && other.status !== "absent"
    ).map((other) => `by ${other.way} ${other.status}: ${other.reason}`),
  ];
  return [
    title,
    way,
    time === undefined
      ? { text: status === "absent" ? "–" : status, tone: status === "absent" ? "faint" : "bad" }
      : formatDuration(time),
    interval === undefined
      ? time === undefined ? "" : NO_DATA
      : `${formatDuration(interval.low)} to ${formatDuration(interval.high)}`,
    time === undefined ? "" : own ? "1" : formatRatio(over),
    time === undefined ? "" : own ? "1" : formatRatio(cpu),
    error === undefined ? "" : error.toExponential(1),
    { text: remarks.join("; "), tone: status === "absent" ? "faint" : "bad" },
  ];
}

function formatRatio(ratio: Ratio | undefined): string {
  if (ratio === undefined) return NO_DATA;
  const text = (value: number) => value < 9.995 ? value.toPrecision(3) : value.toFixed(1);
  const { median, low, high } = ratio;
  const interval = low === undefined || high === undefined
    ? ""
    : ` (${text(low)} to ${text(high)})`;
  return `${text(median)}×${interval}`;
}
