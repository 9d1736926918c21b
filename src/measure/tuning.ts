/**
 * Finds an operator's fastest variant on this adapter, for calls of one class.
 *
 * The candidates of a call run in heats, as many at a time as memory holds; the fastest so far and
 * the default enter the next heat. A heat samples its candidates in turns, and drops a candidate
 * once it certainly loses. Only right answers count, and the default stays unless another variant
 * is certainly faster.
 *
 * Knows nothing of processes or GPUs: what runs a heat comes from outside.
 */
import type { TunableOperator } from "../ops/tuning/operators.ts";
import type { PassName, Shape } from "./workloads/operator.ts";
import type { OperatorName } from "./workloads/operators.ts";
import { type Interval, median, medianInterval } from "../statistics/summary.ts";

/** A call to tune for, and what could run it. */
export interface TuningWork {
  readonly kernel: OperatorName;
  readonly pass: PassName;
  readonly shape: Shape;
  readonly operator: TunableOperator;
  readonly shapeClass: string;
  /** What runs without tuning. */
  readonly usual: string;
  /** The variants that can run the call here, in order of preference. */
  readonly candidates: readonly string[];
  /** The variants that cannot run it, and why. */
  readonly unfit: readonly { readonly variant: string; readonly reason: string }[];
  /** The most candidates whose data fit in memory together, at least 3. */
  readonly heatSize: number;
}

/** The result of a candidate in a heat. */
export interface CandidateResult {
  readonly variant: string;
  /**
   * Only `timed` may win; `skipped` was left out, for lack of time or because it cannot run after
   * all.
   */
  readonly status: "timed" | "wrong" | "failed" | "timed-out" | "skipped";
  /** Why it is not timed. */
  readonly reason?: string;
  /** ns of one run. */
  readonly samples: readonly number[];
  /** True if it dropped out early. */
  readonly beaten?: boolean;
}

/** How long a heat may take. */
export interface HeatLimits {
  /** ms for compiling and checking; candidates that have not begun after that are skipped. */
  readonly preparation: number;
  /** ns of sampling for each candidate. */
  readonly sampling: number;
}

/** Runs a heat: checks every candidate's answer, then times the right ones. */
export type RunHeat = (
  work: TuningWork,
  candidates: readonly string[],
  limits: HeatLimits,
) => Promise<readonly CandidateResult[]>;

/** What tuning found for a call. */
export interface TuningOutcome {
  readonly work: TuningWork;
  /** Undefined if nothing could be timed. */
  readonly winner: string | undefined;
  /**
   * Whether the winner is worth keeping: it was compared with the default, or the default is no
   * choice because it is wrong or fails. A default that only took too long, beside others that were
   * left out, decides nothing: the machine may have been busy.
   */
  readonly decided: boolean;
  /** ns, medians; of the winner and the default from the same heat. */
  readonly times: {
    readonly winner?: number;
    readonly default?: number;
    readonly portable?: number;
  };
  /** How many times as long the default, or the portable form, takes. */
  readonly overDefault: number | undefined;
  readonly overPortable: number | undefined;
  /** Every candidate's last result. */
  readonly candidates: readonly CandidateResult[];
}

/** How to tune. */
export interface TuneOptions {
  readonly runHeat: RunHeat;
  /** Seconds for all of it, checked between compilations. */
  readonly budget: number;
  /** ms from any origin. */
  readonly now: () => number;
  /** Called with what was found for each call, as soon as it is certain. */
  readonly result: (outcome: TuningOutcome) => Promise<void>;
  /** True ends it. */
  readonly interrupted?: () => boolean;
}

/** A call begins only if at least this many seconds are left. */
const LEAST_SECONDS = 0.5;
/**
 * The share of a heat's time that may go into compiling and checking before the rest is sampled.
 */
const PREPARATION = 0.6;

/**
 * Tunes for calls, one after the other, each with its share of the time that is left.
 *
 * @param work the calls
 * @param options how to run a heat, the budget, the clock, and where outcomes go
 * @returns the calls that were not reached
 */
export async function tune(
  work: readonly TuningWork[],
  { runHeat, budget, now, result, interrupted = () => false }: TuneOptions,
): Promise<readonly TuningWork[]> {
  const start = now();
  for (const [i, each] of work.entries()) {
    const left = budget - (now() - start) / 1000;
    if (interrupted() || left < LEAST_SECONDS) return work.slice(i);
    const outcome = await tuneCall(each, {
      runHeat,
      now,
      interrupted,
      seconds: left / (work.length - i),
    });
    if (interrupted()) return work.slice(i);
    await result(outcome);
  }
  return [];
}

interface CallOptions extends Pick<TuneOptions, "runHeat" | "now"> {
  readonly interrupted: () => boolean;
  readonly seconds: number;
}

async function tuneCall(
  work: TuningWork,
  { runHeat, now, interrupted, seconds }: CallOptions,
): Promise<TuningOutcome> {
  const start = now();
  const results = new Map<string, CandidateResult>();
  let waiting = inOrder(work);
  let race: Race = { winner: undefined, times: {} };
  let portable: number | undefined; // how many times as long as the default
  while (waiting.length > 0 && !interrupted()) {
    const left = seconds - (now() - start) / 1000;
    const carried = [...new Set([work.usual, race.winner])]
      .filter((name) => name !== undefined && results.get(name)?.status === "timed") as string[];
    // The first heat runs in any case: there must be something to compare.
    if (results.size > 0 && left < LEAST_SECONDS) break;
    const fresh = waiting.slice(0, Math.max(1, work.heatSize - carried.length));
    waiting = waiting.slice(fresh.length);
    const heats = 1 + Math.ceil(waiting.length / Math.max(1, work.heatSize - 2));
    const share = Math.max(LEAST_SECONDS, left) / heats;
    const candidates = [...carried, ...fresh];
    const heat = await runHeat(work, candidates, {
      preparation: 1e3 * PREPARATION * share,
      sampling: 1e9 * (1 - PREPARATION) * share / candidates.length,
    });
    for (const each of heat) results.set(each.variant, each);
    race = decide(heat, { usual: work.usual, before: race });
    portable ??= ratio(timeOf(heat, "portable"), timeOf(heat, work.usual));
  }
  for (const variant of waiting) {
    const reason = "no time was left for it";
    results.set(variant, { variant, status: "skipped", reason, samples: [] });
  }
  const overDefault = ratio(race.times.default, race.times.winner);
  const overPortable = portable === undefined || overDefault === undefined
    ? ratio(race.times.portable, race.times.winner)
    : portable * overDefault;
  const usual = results.get(work.usual)?.status;
  const skipped = [...results.values()].some(({ status }) => status === "skipped");
  const compared = usual === "timed" || usual === "wrong" || usual === "failed" || !skipped;
  return {
    work,
    ...race,
    decided: race.winner !== undefined && compared,
    overDefault,
    overPortable,
    candidates: work.candidates.map((name) => results.get(name))
      .filter((each) => each !== undefined),
  };
}

// The default and the portable form first: whatever the time brings, there is something to compare
// with.
function inOrder({ usual, candidates }: TuningWork): string[] {
  const first = [usual, "portable"].filter((name) => candidates.includes(name));
  return [...new Set([...first, ...candidates])];
}

interface Race {
  readonly winner: string | undefined;
  readonly times: TuningOutcome["times"];
}

interface Timed {
  readonly variant: string;
  readonly time: number;
  readonly interval: Interval;
}

function decide(
  heat: readonly CandidateResult[],
  { usual, before }: { readonly usual: string; readonly before: Race },
): Race {
  const timed = heat.flatMap((each): Timed[] => {
    const interval = each.status === "timed" ? medianInterval(each.samples) : undefined;
    return interval === undefined
      ? [] // too few samples, such as of a candidate that dropped out at once
      : [{ variant: each.variant, time: median(each.samples)!, interval }];
  });
  const fastest = timed.toSorted((a, b) => a.time - b.time)[0];
  if (fastest === undefined) return before;
  const fallback = timed.find(({ variant }) => variant === usual);
  const certain = fallback === undefined || fastest.interval.high < fallback.interval.low;
  const winner = certain ? fastest : fallback;
  const defaultTime = timeOf(heat, usual);
  const portableTime = timeOf(heat, "portable") ?? before.times.portable;
  return {
    winner: winner.variant,
    times: {
      winner: winner.time,
      ...defaultTime === undefined ? {} : { default: defaultTime },
      ...portableTime === undefined ? {} : { portable: portableTime },
    },
  };
}

function timeOf(heat: readonly CandidateResult[], variant: string): number | undefined {
  const found = heat.find((each) => each.variant === variant && each.status === "timed");
  return found === undefined ? undefined : median(found.samples);
}

function ratio(above: number | undefined, below: number | undefined): number | undefined {
  return above === undefined || below === undefined ? undefined : above / below;
}
