import type { GpuInfo } from "../src/gpu/gpu_info.ts";
import type { Cost } from "../src/gpu/plan.ts";
import type { Timer } from "../src/measure/result_file.ts";
import { median } from "../src/statistics/summary.ts";
import { formatDuration, formatFactor, formatRate, NO_DATA } from "../src/report/format.ts";
import { formatTerminalTable, numberColumns, textColumns } from "../src/report/table.ts";

/** A benchmark's times. */
export interface BenchRow {
  readonly kernel: string;
  readonly pass: string;
  readonly shape: { readonly name: string };
  readonly variant: string;
  readonly cost: Cost;
  /** ns per run. */
  readonly samples: readonly number[];
  /** The reason why there are no times. */
  readonly reason?: string;
}

/** The machine and the clock, for the table's caption. */
export interface BenchTableOptions {
  readonly info: Pick<GpuInfo, "runtime" | "backend" | "vendor" | "description" | "software">;
  readonly timer: Timer;
  /** Whether to use colors. Default false. */
  readonly color?: boolean;
}

/**
 * The table at the end of a bench file: median times, with arithmetic and memory rates.
 *
 * @param rows the benchmarks; those that never ran and have no reason are left out
 * @returns lines for a terminal: the table, then the reasons for missing figures
 */
export function benchTable(
  rows: readonly BenchRow[],
  { info, timer, color = false }: BenchTableOptions,
): string {
  const shown = rows.filter(({ samples, reason }) => samples.length > 0 || reason !== undefined);
  const notes = shown.filter(({ reason }) => reason !== undefined)
    .map(({ kernel, pass, shape, variant, reason }) =>
      `${NO_DATA}: ${kernel} ${pass}, ${shape.name}, ${variant}: ${reason}\n`
    );
  return formatTerminalTable({
    caption: caption(info, timer),
    columns: [
      ...textColumns("shape", "kernel", "pass", "variant"),
      ...numberColumns("median", "arithmetic", "memory", "speed", "samples"),
    ],
    rows: shown.map((row) => {
      const time = median(row.samples);
      const perSecond = (amount: number) => time === undefined ? undefined : amount / time * 1e9;
      return [
        row.shape.name,
        row.kernel,
        row.pass,
        row.variant,
        formatDuration(time),
        formatRate(perSecond(row.cost.flops), "FLOP/s"),
        formatRate(perSecond(row.cost.bytes), "B/s"),
        speed(row, shown),
        String(row.samples.length),
      ];
    }),
  }, { color }) + notes.join("");
}

// The speedup over the naive variant of the same work.
function speed(row: BenchRow, rows: readonly BenchRow[]): string {
  const naive = rows.find(({ kernel, pass, shape, variant }) =>
    variant === "naive" && kernel === row.kernel && pass === row.pass &&
    shape.name === row.shape.name
  );
  if (naive === undefined || naive === row) return "";
  const [own, other] = [median(row.samples), median(naive.samples)];
  return own === undefined || other === undefined ? NO_DATA : formatFactor(other / own);
}

function caption(info: BenchTableOptions["info"], timer: Timer): string {
  const adapter = info.description === "" ? info.vendor : info.description;
  const kind = info.software ? ", computing on the CPU" : "";
  const clock = timer.kind === "timestamp"
    ? `GPU timestamps in steps of ${formatDuration(timer.quantum)}`
    : "wall time, submission included, as there are no usable GPU timestamps";
  return `${adapter} by ${info.runtime} on ${info.backend}${kind}: medians from ${clock}; ` +
    "speed against naive";
}
