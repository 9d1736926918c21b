/**
 * Finds an operator's fastest variant on this adapter for each class of calls, such as those with
 * D=64 and T<=1024. It measures one call of a class. All calls of the class then use the winner.
 *
 * The candidates of a call compete in heats, as many at a time as fit in memory; the fastest so far
 * and the default enter the next heat. A heat samples its candidates in turns, and drops a
 * candidate once it certainly loses. Only right answers count, and the default stays unless it
 * fails or another variant is certainly faster.
 */
import type { TunableOperator } from "../ops/tuning/operators.ts";
import type { PassName, Shape } from "./workloads/operator.ts";
import type { OperatorName } from "./workloads/operators.ts";
import { type Interval, median, medianInterval } from "../statistics/summary.ts";

export interface TuningWork {
  readonly kernel: OperatorName;
  readonly pass: PassName;
  readonly shape: Shape;
  readonly operator: TunableOperator;
  readonly shapeClass: string;
  /** The default variant without tuning. */
  readonly usual: string;
  /** The variants that can run the call here, in order of preference. */
  readonly candidates: readonly string[];
  readonly unfit: readonly { readonly variant: string; readonly reason: string }[];
  /** The most candidates in one heat: as many as fit in memory together, but from 3 to 16. */
  readonly heatSize: number;
}

export interface CandidateResult {
  readonly variant: string;
  /**
   * Only `timed` candidates may win. A `skipped` one was left out for lack of time, or because it
   * cannot run after all.
   */
  readonly status: "timed" | "wrong" | "failed" | "timed-out" | "skipped";
  /** Why the candidate is not timed. */
  readonly reason?: string;
  /** Times in ns of one run. */
  readonly samples: readonly number[];
  /** True if it was dropped early. */
  readonly beaten?: boolean;
}

/** The time limits of a heat. */
export interface HeatLimits {
  /**
   * ms for compiling and checking all candidates. A candidate whose compilation has not begun by
   * then is skipped.
   */
  readonly preparation: number;
  /** ns of sampling per candidate. */
  readonly sampling: number;
}

/** Runs a heat: checks every candidate's answer, then times the right ones. */
export type RunHeat = (
  work: TuningWork,
  candidates: readonly string[],
  limits: HeatLimits,
) => Promise<readonly CandidateResult[]>;

/** The result of tuning for a call. */
export interface TuningOutcome {
  readonly work: TuningWork;
  /** Undefined if no candidate has enough samples. */
  readonly winner: string | undefined;
  /**
   * Whether to save the winner. False if there is none, if the default was skipped, or if the
   * default took too long and another candidate was skipped: the machine may have been busy.
   */
  readonly decided: boolean;
  /** Medians in ns; the winner's and the default's come from the same heat. */
  readonly times: {
    readonly winner?: number;
    readonly default?: number;
    readonly portable?: number;
  };
  /** The default's time divided by the winner's. */
  readonly overDefault: number | undefined;
  /** The portable variant's time divided by the winner's. */
  readonly overPortable: number | undefined;
  /** Every candidate's last result. */
  readonly candidates: readonly CandidateResult[];
}

/** Options of {@linkcode tune}. */
export interface TuneOptions {
  readonly runHeat: RunHeat;
  /** Seconds for all calls. A call, heat or compilation that begins in time may end later. */
  readonly budget: number;
  /** ms from any origin. */
  readonly now: () => number;
  /** Receives each call's outcome as soon as it is known. Tuning waits for the promise. */
  readonly result: (outcome: TuningOutcome) => Promise<void>;
  /** Returns true to end tuning. */
  readonly interrupted?: () => boolean;
}

/** Another call or heat begins only if at least this many seconds remain. */
const LEAST_SECONDS = 0.5;
/**
 * The share of a heat's time for compiling and checking the candidates. The rest of the time is for
 * sampling.
 */
const PREPARATION = 0.6;

/**
 * Tunes for one call after the other. Each call gets an equal share of the time that remains.
 *
 * @returns the calls without an outcome
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
  let portable: number | undefined; // The portable variant's time divided by the default's.
  while (waiting.length > 0 && !interrupted()) {
    const left = seconds - (now() - start) / 1000;
    const carried = [...new Set([work.usual, race.winner])]
      .filter((name) => name !== undefined && results.get(name)?.status === "timed") as string[];
    // The first heat always runs, because without it there would be no winner.
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

// The default and the portable variant come first. So they are in the first heat, which runs
// however little time remains.
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
      ? [] // A candidate that was dropped early has too few samples.
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
