/**
 * The cost of V-scale and learned sinks: attention with them compared with plain attention, in one
 * run.
 */
import { compareWithinRun } from "../../measure/comparison/within_run.ts";
import { type Estimate, estimateTimes, type TimeEstimates } from "../../measure/estimate.ts";
import type { Measurement } from "../../measure/result_file.ts";
import { processesOf } from "../../measure/rounds.ts";
import type { PassName } from "../../measure/workloads/operator.ts";
import { operatorNames, passesOf, passNamed } from "../../measure/workloads/operators.ts";
import { formatFactor, formatShape, NO_DATA } from "../format.ts";
import type { Table } from "../table.ts";

const PLAIN = "attention";

/**
 * Makes a table of the times of attention with V-scale or learned sinks, each divided by that of
 * plain attention on the same shape with the same variant. Undefined if the run has no such pair.
 */
export function besideAttentionTable(measurements: readonly Measurement[]): Table | undefined {
  const estimates = estimateTimes(measurements);
  const plains = new Map(
    measurements.filter(({ kernel }) => kernel === PLAIN).map((each) => [workOf(each), each]),
  );
  const pairs = measurements.flatMap((candidate) => {
    if (!isAttention(candidate)) return [];
    const baseline = plains.get(workOf(candidate));
    const [own, plain] = [estimates.get(candidate), baseline && estimates.get(baseline)];
    return own === undefined || plain === undefined ? [] : [{ candidate, own, plain }];
  });
  if (pairs.length === 0) return undefined;
  const knowsCpu = pairs.some(({ own, plain }) => own.cpu !== undefined && plain.cpu !== undefined);
  return {
    caption:
      "Time ÷ that of plain attention in the same run, with the same variant; 95 % intervals",
    columns: [
      { title: "kernel" },
      { title: "pass" },
      { title: "shape" },
      { title: "cache" },
      { title: "time", align: "right" },
      ...knowsCpu ? [{ title: "CPU time", align: "right" as const }] : [],
    ],
    rows: pairs.map(({ candidate, own, plain }) => [
      candidate.kernel.slice(PLAIN.length + 1),
      candidate.pass,
      formatShape(candidate.shape),
      candidate.cache ?? "hot",
      ratio(own, plain, "time"),
      ...knowsCpu ? [ratio(own, plain, "cpu")] : [],
    ]),
  };
}

// Result files come from strangers. So check first that this version knows the file's operator.
function isAttention({ kernel, pass }: Measurement): boolean {
  if (kernel === PLAIN || !operatorNames.includes(kernel)) return false;
  const own = pass as PassName;
  return passesOf(kernel).includes(own) && passesOf(PLAIN).includes(own) &&
    passNamed(kernel, own).operator === passNamed(PLAIN, own).operator;
}

/** A key of everything that two operators' measurements must share so that they can be compared. */
function workOf(measurement: Measurement): string {
  const { pass, shape, dtype, variant, cache = "hot" } = measurement;
  const rounds = processesOf(measurement).map(({ round }) => round);
  return JSON.stringify([pass, dtype, variant, cache, Object.entries(shape).sort(), rounds]);
}

function ratio(own: TimeEstimates, plain: TimeEstimates, kind: "time" | "cpu"): string {
  const [candidate, baseline]: (Estimate | undefined)[] = [own[kind], plain[kind]];
  if (candidate === undefined || baseline === undefined) return NO_DATA;
  const { ratio, interval } = compareWithinRun(baseline, candidate);
  const range = interval === undefined
    ? ""
    : ` (${interval.low.toFixed(2)} to ${interval.high.toFixed(2)})`;
  return `${formatFactor(ratio)}${range}`;
}
