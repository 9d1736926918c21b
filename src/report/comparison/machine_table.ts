/** The tables of a comparison that have one row per machine. */
import type { Comparison } from "../../measure/comparison.ts";
import type { BoundingCeiling } from "../../measure/ceilings/roofline.ts";
import { formatDuration, formatFactor, formatRate, NO_DATA } from "../format.ts";
import { numberColumns, type Table, textColumns } from "../table.ts";
import { ceilingCell, changeText, shareText } from "./cells.ts";

/**
 * The table of totals: one row per machine. Ranks, and times divided by the best time, cover only
 * the rows that every machine has.
 */
export function totalTable(comparison: Comparison): Table {
  const first = comparison.machines[0]!.name;
  return {
    caption: "All measurements together. Ranks and multiples of the best count only the " +
      `${comparison.completeRows} of ${comparison.rows.length} that every machine has`,
    columns: [
      { title: "machine" },
      ...numberColumns("mean rank", "geometric mean of time ÷ best"),
      ...numberColumns("geometric mean of roofline share", `time against ${first}`),
      ...numberColumns("faster", "same", "ambiguous", "slower"),
    ],
    rows: comparison.totals.map((total, i) => [
      comparison.machines[i]!.name,
      total.meanRank === undefined ? NO_DATA : total.meanRank.toFixed(2),
      formatFactor(total.geometricMean),
      shareText(total),
      i === 0 ? "baseline" : changeText(total),
      ...i === 0
        ? ["", "", "", ""]
        : (["faster", "same", "ambiguous", "slower"] as const).map((verdict) =>
          String(total.verdicts[verdict])
        ),
    ]),
  };
}

/** The table of machines. Each machine is one row, with its properties and ceilings. */
export function machineTable(comparison: Comparison): Table {
  return {
    caption: "The machines and their measured ceilings",
    columns: [
      ...textColumns("machine", "adapter", "runtime", "host", "suite", "date"),
      ...numberColumns("f32 FMA", "f16 FMA", "copy", "exp", "dispatch", "submit and wait"),
    ],
    rows: comparison.machines.map((machine) => {
      const { ceilings } = machine;
      const rate = (name: BoundingCeiling, unit: string) => ceilingCell(machine, name, unit);
      return [
        machine.name,
        `${machine.adapter}${machine.software ? " (software)" : ""}`,
        machine.runtime,
        machine.host === "" ? NO_DATA : machine.host,
        machine.suite,
        machine.date.slice(0, 10),
        rate("f32Fma", "FLOP/s"),
        rate("f16Fma", "FLOP/s"),
        rate("copyBandwidth", "B/s"),
        formatRate(ceilings.expRate?.value, "op/s"),
        formatDuration(ceilings.dispatchOverhead?.value),
        formatDuration(ceilings.submitAndWait?.value),
      ];
    }),
  };
}
