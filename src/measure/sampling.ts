/**
 * Samples several pieces of GPU work in turn. Each round visits the pieces that need more samples
 * (it takes some of each) in a new random order, so changes of the machine affect all of them
 * alike. A fixed reference kernel runs before every sixth visit. Samples taken while this kernel
 * was slow are flagged and kept.
 *
 * `sampling/stopping.ts` decides the number of samples, `timing/repeats.ts` the number of runs in
 * each sample. The header of `timing/repeats.ts` names every file that decides such a number.
 *
 * This file calls no Deno API, because the browser's page uses it too.
 */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { type StoppingRule, stopReason } from "./sampling/stopping.ts";
import {
  type SampledWork,
  type VisitOptions,
  Visits,
  type WorkSamples,
} from "./sampling/visits.ts";

export type { SampledWork, VisitOptions, WorkSamples } from "./sampling/visits.ts";

/** Options of {@linkcode sampleWork}. */
export interface SampleOptions extends Omit<VisitOptions, "maximumSamples"> {
  /** When to stop sampling a piece of work. */
  readonly rule: StoppingRule;
  /** Any safe integer; it decides the order of the visits. */
  readonly seed: number;
  /** Awaited before each visit, so a run can be paused. */
  readonly ready?: () => Promise<void>;
  /**
   * For a race: called after each round, from the third on, with the samples of all work. It
   * returns the indices of work that needs no more samples.
   */
  readonly beaten?: (samples: readonly (readonly number[])[]) => ReadonlySet<number>;
}

/** A race drops no candidate before this many rounds. */
const RACE_ROUNDS = 3;

/**
 * Samples work until each piece is precise enough, its noise no longer changes, or its time or its
 * number of samples is used up. A race or an interrupt can end the sampling earlier.
 *
 * @param work the work to sample
 * @param options the timer, the rule, the reference kernel and the seed
 * @returns the samples of each piece of work, in the order of `work`; undefined for a piece without
 *   data
 * @throws {GpuError} if the GPU fails; the last call of `options.visit` tells which work ran
 */
export async function sampleWork(
  work: readonly SampledWork[],
  options: SampleOptions,
): Promise<(WorkSamples | undefined)[]> {
  const { rule, seed, interrupted = () => false, beaten, ready } = options;
  const visits = await Visits.prepare(work, { ...options, maximumSamples: rule.maximumSamples });
  const all: { samples: readonly number[] }[] = work.map(() => ({ samples: [] }));
  for (const each of visits.work) all[each.index] = each;
  let active = visits.work;
  const next = shuffler(seed);
  let rounds = 0;
  while (active.length > 0 && !interrupted()) {
    for (const each of next(active)) {
      await ready?.();
      if (interrupted()) break;
      await visits.visit(each);
      const reason = each.failures > 3
        ? "budget" as const
        : stopReason(each.samples, { rule, elapsed: each.elapsed });
      if (reason === undefined) continue;
      active = active.filter((other) => other !== each);
      visits.end(each, reason);
    }
    if (beaten === undefined || ++rounds < RACE_ROUNDS) continue;
    const losers = beaten(all.map(({ samples }) => samples));
    for (const each of active.filter(({ index }) => losers.has(index))) visits.end(each, "beaten");
    active = active.filter(({ index }) => !losers.has(index));
  }
  for (const each of active) visits.end(each, "interrupted");
  return visits.results;
}

/**
 * Makes a function that shuffles by Fisher and Yates. Equal seeds give equal orders.
 *
 * @param seed any safe integer
 * @returns a function that returns a new shuffled copy at each call
 */
export function shuffler(seed: number): <Item>(items: readonly Item[]) => Item[] {
  const generator = xoroshiro128plus(seed);
  return (items) => {
    const order = [...items];
    for (let i = order.length - 1; i > 0; i--) {
      const j = uniformInt(generator, 0, i);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  };
}
