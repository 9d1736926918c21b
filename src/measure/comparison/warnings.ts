/** The caveats of a comparison. */
import type { ComparisonRow } from "./rows.ts";
import { isSameMachine, type Machine, type NamedResult } from "./machine.ts";
import type { Measurement } from "../result_file.ts";
import { plural } from "../../plural.ts";
import { processesOf } from "../rounds.ts";
import { median } from "../../statistics/summary.ts";

/** Options of {@linkcode comparisonWarnings}. */
export interface ComparisonMaterial {
  readonly results: readonly NamedResult[];
  readonly machines: readonly Machine[];
  readonly rows: readonly ComparisonRow[];
  /** Each file's measurements by `keyText`, including those that no row compares. */
  readonly columns: readonly ReadonlyMap<string, Measurement>[];
  readonly threshold: number;
}

/** If fewer rows than this all changed in one direction, that may be chance. */
const LEAST_ROWS = 6;

function percent(change: number): string {
  return `${change >= 0 ? "+" : "−"}${Math.abs(100 * change).toFixed(1)} %`;
}

/**
 * Finds the caveats of a comparison.
 *
 * @returns one sentence for each caveat, without a period; code that shows it must escape it
 */
export function comparisonWarnings(material: ComparisonMaterial): string[] {
  const { results, machines, rows } = material;
  const warnings: string[] = [];
  for (const machine of machines) {
    if (!machine.complete) {
      warnings.push(`${machine.name}: the run is incomplete (${machine.fileName})`);
    }
  }
  const suites = new Set(machines.map(({ suite }) => suite));
  if (suites.size > 1) {
    const list = machines.map(({ name, suite }) => `${name} ${suite}`).join(", ");
    warnings.push(`the suite's versions differ, so the kernels may differ too: ${list}`);
  }
  warnings.push(...otherOperators(material));
  const timers =
    rows.filter(({ cells }) =>
      new Set(cells.flatMap(({ measurement }) => measurement?.timer.kind ?? [])).size > 1
    ).length;
  if (timers > 0) {
    warnings.push(
      `GPU timestamps are compared with wall time, which includes submission, in ${
        plural(timers, "row")
      }`,
    );
  }
  const costs = rows.filter(({ cells }) =>
    new Set(
      cells.flatMap(({ measurement }) =>
        measurement === undefined ? [] : `${measurement.flops} ${measurement.bytes}`
      ),
    ).size > 1
  ).length;
  if (costs > 0) {
    warnings.push(`the files count flops or bytes differently in ${plural(costs, "row")}`);
  }
  warnings.push(
    ...fewProcesses(material),
    ...lonely(material),
    ...identical(material),
    ...changedMachine(material),
    ...byCpuTime(material),
    ...common(material),
    ...undecided(material),
  );
  for (const [i, { file }] of results.entries()) {
    const { name, ceilings } = machines[i]!;
    for (const warning of file.warnings ?? []) warnings.push(`${name}: ${warning}`);
    for (const [ceiling, found] of Object.entries(ceilings)) {
      const remark = found?.remark;
      if (remark !== undefined) warnings.push(`${name}: the ceiling ${ceiling} is ${remark}`);
    }
  }
  return warnings;
}

/** Warns of rows that only one process measured, as in older files and runs interrupted early. */
function fewProcesses({ machines, rows }: ComparisonMaterial): string[] {
  return machines.flatMap(({ name }, i) => {
    const count = rows.filter(({ cells }) => {
      const { measurement } = cells[i]!;
      return measurement !== undefined && processesOf(measurement).length === 1;
    }).length;
    return count === 0 ? [] : [
      `${name}: only one process measured ${plural(count, "row")}, so the comparison assumes ` +
      "that times differ by 10 % from process to process; a new run with this version measures " +
      "that difference",
    ];
  });
}

function otherOperators({ machines, rows }: ComparisonMaterial): string[] {
  return [...new Set(rows.map(({ kernel }) => kernel))].flatMap((kernel) => {
    const own = rows.filter((row) => row.kernel === kernel);
    const digests = machines.map((_, i) => {
      const measured = own.flatMap(({ cells }) => cells[i]!.measurement ?? []);
      return measured.length === 0 ? undefined : measured[0]!.operatorDigest ?? "the suite's";
    });
    if (new Set(digests.filter((digest) => digest !== undefined)).size < 2) return [];
    const list = machines.flatMap(({ name }, i) =>
      digests[i] === undefined ? [] : `${name} ${digests[i]}`
    );
    return [
      `${kernel}: the operator's files differ (${
        list.join(", ")
      }), so inputs, twin, cost and kernels ` +
      "may differ",
    ];
  });
}

/** Warns of measurements that are left out: fewer than two files have them with samples. */
function lonely({ machines, rows, columns }: ComparisonMaterial): string[] {
  return machines.flatMap(({ name }, i) => {
    const compared = rows.filter(({ cells }) => cells[i]!.status !== "missing").length;
    const alone = columns[i]!.size - compared;
    return alone === 0 ? [] : [
      `${name}: ${plural(alone, "measurement")} left out, measured well in fewer than two files`,
    ];
  });
}

function undecided({ machines, rows, threshold }: ComparisonMaterial): string[] {
  return machines.flatMap(({ name }, i) => {
    const count = rows.filter(({ cells }) => {
      const { verdict, ratio = 1 } = cells[i]!.pair ?? {};
      return verdict === "ambiguous" && Math.max(ratio, 1 / ratio) > 1 + threshold;
    }).length;
    return count === 0 ? [] : [
      `${name}: ${plural(count, "row")} changed by more than ${+(100 * threshold).toFixed(
        2,
      )} %, but the change is not certain: the remarks say why, and what would settle it`,
    ];
  });
}

function identical({ results, machines }: ComparisonMaterial): string[] {
  const samples = results.map(({ file }) =>
    JSON.stringify(file.measurements.map((measurement) => measurement.samples))
  );
  return machines.flatMap(({ name }, i) => {
    const earlier = samples.indexOf(samples[i]!);
    return earlier < i ? [`${machines[earlier]!.name} and ${name} hold the same samples`] : [];
  });
}

function changedMachine({ machines, rows }: ComparisonMaterial): string[] {
  return machines.flatMap(({ name }, i) => {
    const [change] = rows.flatMap(({ cells }) => cells[i]!.pair?.machineChange ?? []);
    return change === undefined ? [] : [
      `${name}: the reference kernel's time changed by ${percent(Math.expm1(change.reference))} ` +
      "on the same machine, so its clock or load changed: a row counts as changed only if it also " +
      "stands out from the other rows",
    ];
  });
}

function byCpuTime({ machines, rows }: ComparisonMaterial): string[] {
  return machines.flatMap(({ name }, i) => {
    const count = rows.filter(({ cells }) => {
      const { inTurns, evidence } = cells[i]!.pair ?? {};
      return inTurns === true && evidence?.[0]?.of === "CPU time";
    }).length;
    return count === 0 ? [] : [
      `${name}: in ${plural(count, "row")} the change shown is that of the CPU time, which is ` +
      "more precise than that of the time because the machine had other work",
    ];
  });
}

/** Warns if nearly all rows changed in one direction: the machine changed, not the kernels. */
function common({ results, machines, rows, threshold }: ComparisonMaterial): string[] {
  return machines.flatMap(({ name }, i) => {
    // In a joint run a change of the machine affects both files alike, so do not warn.
    if (i === 0 || rows.some(({ cells }) => cells[i]!.pair?.inTurns)) return [];
    if (!isSameMachine(results[0]!.file, results[i]!.file)) return [];
    const changes = rows.flatMap(({ cells }) => {
      const ratio = cells[i]!.pair?.ratio;
      return ratio === undefined ? [] : [Math.log(ratio)];
    });
    const shift = median(changes);
    if (shift === undefined || changes.length < LEAST_ROWS) return [];
    const along = changes.filter((change) => Math.sign(change) === Math.sign(shift)).length;
    return Math.abs(shift) > Math.log1p(threshold) / 2 && along >= 0.9 * changes.length
      ? [
        `${name}: nearly all times moved together (median ${
          percent(Math.expm1(shift))
        }) on the same machine: its clock or load may have changed`,
      ]
      : [];
  });
}
