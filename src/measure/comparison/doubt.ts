/** Why a verdict is ambiguous, and how to settle it. */
import { studentQuantile } from "../../statistics/student.ts";
import { ratioInterval } from "../estimate.ts";
import type { Evidence, PairComparison } from "./pair.ts";

/** The reason that prevents a verdict. */
export interface Doubt {
  /**
   * - `one process`: a measurement comes from a single process, so it is not known how processes
   *   differ
   * - `chance`: the change is above the threshold and may be chance
   * - `CPU time`: on one machine, the CPU time does not show the change
   * - `clock`: on one machine, the time divided by the reference kernel's does not show the change
   * - `machine`: the machine changed between the two runs. This row's change does not exceed
   *   the other rows' by more than the threshold, or there are too few rows to tell
   * - `near the threshold`: the time certainly changed, but perhaps by more than the threshold,
   *   perhaps by less
   * - `wide interval`: the interval contains a ratio of 1 and reaches beyond the threshold
   */
  readonly kind:
    | "one process"
    | "chance"
    | "CPU time"
    | "clock"
    | "machine"
    | "near the threshold"
    | "wide interval";
  /** The reason in words, without a period. */
  readonly text: string;
  /**
   * How many times as many processes would give a verdict; undefined if not even 16 times would, or
   * if that is not known.
   */
  readonly timesProcesses: number | undefined;
}

/** The largest `timesProcesses` to advise. */
const MOST_TIMES = 16;

/**
 * Finds the reason that prevents a verdict.
 *
 * @param pair an ambiguous comparison
 * @param options.limit log(1 + threshold), to compare with logarithms of ratios
 * @param options.level the significance level of this row after correction
 * @param options.correctedPValue the row's p-value after correction
 */
export function doubtOf(
  pair: PairComparison,
  { limit, level, correctedPValue }: {
    readonly limit: number;
    readonly level: number;
    readonly correctedPValue: number;
  },
): Doubt {
  const { evidence, processes, machineChange } = pair;
  const [time, ...others] = evidence;
  const distance = Math.abs(time!.center);
  const percent = (value: number): string => `${(100 * Math.expm1(value)).toFixed(1)} %`;
  if (Math.min(...processes) < 2) {
    return {
      kind: "one process",
      text: "one process does not show how much times differ from process to process, so 10 % is " +
        "assumed: a new run with this version uses several",
      timesProcesses: undefined,
    };
  }
  const interval = ratioInterval(time!);
  const within = `${percent(Math.log(interval.low))} to ${percent(Math.log(interval.high))}`;
  if (distance <= limit) {
    const timesProcesses = timesFor((times) => {
      const { error, df } = repeated(time!, times);
      return distance + studentQuantile(0.025, df) * error < limit;
    });
    const isNear = interval.low > 1 || interval.high < 1;
    return {
      kind: isNear ? "near the threshold" : "wide interval",
      text: isNear
        ? `the change, ${within}, may be above or below the threshold of ${percent(limit)}`
        : `the interval of ${within} reaches beyond the threshold of ${percent(limit)}`,
      timesProcesses,
    };
  }
  // Find evidence that contradicts the time: it shows no change above the threshold in the same
  // direction.
  const other = others.find(({ center }) => Math.sign(time!.center) * center <= limit);
  if (other !== undefined) {
    const shown = percent(other.center);
    const { kind, text } = other.of === "CPU time"
      ? {
        kind: "CPU time" as const,
        text: `the CPU time changed by ${shown} only: the machine had other work`,
      }
      : other.of === "relative time"
      ? {
        kind: "clock" as const,
        text: `relative to the reference kernel the time changed by ${shown} only: the machine's ` +
          "clock or load changed",
      }
      : {
        kind: "machine" as const,
        text: `the machine changed (the reference kernel's time by ${
          percent(machineChange!.reference)
        }), and ${
          machineChange!.rows === undefined
            ? "the rows are too few to tell how that affected each"
            : `compared with the other rows this one changed by ${shown} only`
        }`,
      };
    return { kind, text, timesProcesses: undefined };
  }
  return {
    kind: "chance",
    text: `the change may be chance: p (Holm) is ${+correctedPValue.toPrecision(2)}`,
    timesProcesses: timesFor((times) =>
      evidence.every((each) => {
        const { center, error, df } = repeated(each, times);
        return Math.abs(center) >= studentQuantile(level / 2, df) * error;
      })
    ),
  };
}

// The difference to expect from `times` times as many processes: the same center, a smaller error.
function repeated({ center, error, df }: Evidence, times: number) {
  return { center, error: error / Math.sqrt(times), df: df * times };
}

// How many times as many processes are needed: the first of 1.5, 2, 2.5, … for which `settled` is
// true; undefined if it is false even for 16.
function timesFor(settled: (times: number) => boolean): number | undefined {
  if (!settled(MOST_TIMES)) return undefined;
  let times = 1.5;
  while (!settled(times)) times += 0.5;
  return times;
}
