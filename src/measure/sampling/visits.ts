/**
 * Visits GPU work. A visit takes some samples of one piece of work, in a single submission if the
 * GPU's clock times them. The clock times spans. A span is one or more runs in one compute pass.
 *
 * This file calls no Deno API, because the browser's page uses it too.
 */
import { chooseRepeats, spansPerSubmission } from "../timing/repeats.ts";
import type { CacheState, StopReason } from "../result_file.ts";
import { median } from "../../statistics/summary.ts";
import { type GpuTimer, MAXIMUM_SPANS, type Span } from "../timing.ts";
import { mean } from "../../statistics/mean.ts";

/** Work to sample. It must have been compiled and run before. */
export interface SampledWork {
  /** Records one run. */
  readonly run: Span;
  /** `hot`: one run after another. `cold`: each run after `VisitOptions.scrub`. */
  readonly cache: CacheState;
}

/** The samples of one piece of work; the fields are those of a result file. */
export interface WorkSamples {
  /** The time of one run in ns, one number per sample. */
  readonly samples: readonly number[];
  /** The number of samples that each visit took. */
  readonly rounds: readonly number[];
  /**
   * If two processes take turns: each visit's sweep number. In a sweep both visit the same work.
   */
  readonly sweeps?: readonly number[];
  /** The number of runs in one sample; the sample is their mean time. */
  readonly repeats: number;
  /**
   * For each sample: the CPU time of one run in ns. Absent for cold work, and if the host has no
   * clock of CPU time or too coarse a one.
   */
  readonly cpuSamples?: readonly number[];
  /** Times in ns of the reference kernel. */
  readonly throttleSamples: readonly number[];
  /** The indices of samples taken while the reference kernel was slow. */
  readonly driftingSamples: readonly number[];
  /** Why sampling ended. */
  readonly stopReason: StopReason;
  /** Reasons to trust the samples less, one line each. */
  readonly warnings: readonly string[];
}

/** The reference kernel runs before one in this many visits. */
const REFERENCE_EVERY = 6;
/** The machine counts as slow if the reference kernel takes this many times as long as usual. */
const DRIFT = 1.15;
/**
 * The spans of a submission together last about this many ns, because waiting for the submission's
 * end costs up to 11 ms.
 */
const SUBMISSION_TIME = 10e6;
/** The least time of a span of hot work, in ns. In such a span, a pass's start is negligible. */
const SPAN_TIME = 200e3;
/** A run of at least this many ns needs no warm-up: filling the cache takes little of its time. */
const LONG_RUN = 50e6;
/** The most runs in one span. */
const MAXIMUM_REPEATS = 4096;

/** Options of visits, each of which takes some samples of one piece of work. */
export interface VisitOptions {
  /** The clock. */
  readonly timer: Pick<GpuTimer, "time" | "timer" | "minimumSpan">;
  /** The most samples of a piece of work. */
  readonly maximumSamples: number;
  /** The reference kernel, compiled and run before. */
  readonly reference: Span;
  /** Evicts everything from the last-level cache; without it, cold work gets no samples. */
  readonly scrub?: Span;
  /** Called with a piece's index, before the piece is prepared and before each of its visits. */
  readonly visit?: (index: number) => void;
  /** Called as soon as the sampling of a piece of work ends, if it has samples. */
  readonly finish?: (index: number, samples: WorkSamples) => void;
  /** Returns true to end all sampling. */
  readonly interrupted?: () => boolean;
}

/** The plan of one visit. */
export interface VisitPlan {
  /** Runs per span. */
  readonly repeats: number;
  /**
   * Spans per sample. A span of cold work contains only one run. If one run is too short for the
   * clock, a sample is the mean of several spans.
   */
  readonly spansPerSample: number;
  /** Samples per visit. */
  readonly samplesPerVisit: number;
}

export interface Visited extends SampledWork {
  readonly index: number;
  plan: VisitPlan;
  readonly long: boolean;
  readonly samples: number[];
  readonly cpuSamples: number[];
  readonly rounds: number[];
  readonly sweeps: number[];
  /**
   * For each sample, the number of times of the reference kernel that were read before. The last of
   * them tells whether the machine was slow.
   */
  readonly readings: number[];
  /** The time of all visits so far, in ns. */
  elapsed: number;
  failures: number;
}

/** Visits pieces of work, and runs the reference kernel before every sixth visit. */
export class Visits {
  readonly #options: VisitOptions;
  readonly #readReference: () => Promise<number[]>;
  readonly #readings: number[] = [];
  readonly #results: (WorkSamples | undefined)[];
  #count = 0;
  /** The work that the clock can time. */
  readonly work: readonly Visited[];

  private constructor(
    { options, readReference, work, count }: {
      readonly options: VisitOptions;
      readonly readReference: () => Promise<number[]>;
      readonly work: readonly Visited[];
      readonly count: number;
    },
  ) {
    this.#options = options;
    this.#readReference = readReference;
    this.#results = Array(count).fill(undefined);
    this.work = work;
  }

  /**
   * Runs each piece a few times to find how many runs make a span.
   *
   * @throws {GpuError} if the GPU fails; the last call of `options.visit` tells which work ran
   */
  static async prepare(work: readonly SampledWork[], options: VisitOptions): Promise<Visits> {
    const readReference = await prepareReference(options.reference, options.timer);
    const found: Visited[] = [];
    for (const [index, each] of work.entries()) {
      if (options.interrupted?.()) break;
      options.visit?.(index);
      const visited = await prepareVisits(index, { ...each, options });
      if (visited !== undefined) found.push(visited);
    }
    return new Visits({ options, readReference, work: found, count: work.length });
  }

  /**
   * The samples of each piece, in the order of the given work; undefined for a piece without data.
   */
  get results(): (WorkSamples | undefined)[] {
    return this.#results;
  }

  /**
   * Visits a piece of work once.
   *
   * @returns the visit's samples, in ns; none if the clock gave no times
   */
  async visit(each: Visited): Promise<readonly number[]> {
    this.#options.visit?.(each.index);
    if (this.#count++ % REFERENCE_EVERY === 0) this.#readings.push(...await this.#readReference());
    const before = each.samples.length;
    await takeSamples(each, { options: this.#options, readings: this.#readings.length });
    return each.samples.slice(before);
  }

  end(each: Visited, reason: StopReason): void {
    if (each.samples.length === 0) return;
    const samples = conclude(each, { reason, readings: this.#readings });
    this.#results[each.index] = samples;
    this.#options.finish?.(each.index, samples);
  }
}

async function prepareReference(
  run: Span,
  timer: VisitOptions["timer"],
): Promise<() => Promise<number[]>> {
  const span = Math.max(timer.minimumSpan, SPAN_TIME);
  const repeats = await chooseRepeats(run, { timer, span, maximum: MAXIMUM_REPEATS });
  return async () => {
    const { spans } = await timer.time([repeated(run, repeats)]);
    return spans[0] === undefined ? [] : [spans[0] / repeats];
  };
}

function repeated(run: Span, repeats: number): Span {
  return (pass) => {
    for (let i = 0; i < repeats; i++) run(pass);
  };
}

// Finds how many runs make a span, and how many spans make a visit. Returns undefined for cold work
// if there is no scrub, or if the clock is the host's or too coarse.
async function prepareVisits(
  index: number,
  { run, cache, options }: SampledWork & { readonly options: VisitOptions },
): Promise<Visited | undefined> {
  const { timer, scrub, maximumSamples } = options;
  const least = Math.max(timer.minimumSpan, cache === "hot" ? SPAN_TIME : 0);
  const repeats = await chooseRepeats(run, { timer, span: least, maximum: MAXIMUM_REPEATS });
  const { spans } = await timer.time([repeated(run, repeats)]);
  const time = spans[0] ?? least;
  const lists = { samples: [], cpuSamples: [], rounds: [], sweeps: [], readings: [] };
  const fields = { index, run, cache, ...lists };
  const counters = { elapsed: 0, failures: 0, long: time / repeats >= LONG_RUN };
  // A visit takes at most an eighth of `maximumSamples`, so several visits share the samples.
  const most = Math.max(1, Math.floor(maximumSamples / 8));
  if (cache === "hot") {
    const samplesPerVisit = Math.min(most, spansPerSubmission(time, SUBMISSION_TIME));
    return { ...fields, ...counters, plan: { repeats, spansPerSample: 1, samplesPerVisit } };
  }
  if (scrub === undefined || timer.timer.kind === "wall") return undefined;
  const spansPerSample = Math.max(1, Math.ceil(timer.minimumSpan / (time / repeats)));
  if (spansPerSample > MAXIMUM_SPANS) return undefined;
  const plan = { repeats: 1, spansPerSample, samplesPerVisit: 1 };
  return { ...fields, ...counters, plan };
}

async function takeSamples(
  visited: Visited,
  { options: { timer, scrub }, readings }: {
    readonly options: VisitOptions;
    readonly readings: number;
  },
): Promise<void> {
  const { run, cache, plan: { repeats, spansPerSample, samplesPerVisit }, long } = visited;
  const span = repeated(run, repeats);
  const count = spansPerSample * samplesPerVisit;
  const warm = cache === "hot" && !long;
  const { spans, wall, cpu } = await timer.time(Array.from({ length: count }, () => span), {
    ...warm ? { first: run } : {},
    ...cache === "cold" && scrub !== undefined ? { each: scrub } : {},
  });
  visited.elapsed += wall;
  let taken = 0;
  for (let first = 0; first < count; first += spansPerSample) {
    const parts = spans.slice(first, first + spansPerSample);
    if (parts.some((part) => part === undefined)) continue;
    visited.samples.push(mean(parts as number[]) / repeats);
    visited.readings.push(readings);
    // The submission's CPU time includes the warm-up run, so divide by all runs with that one. Cold
    // work has no CPU times, because they would include the scrubs.
    if (cpu !== undefined && cache === "hot") {
      visited.cpuSamples.push(cpu / (count * repeats + (warm ? 1 : 0)));
    }
    taken++;
  }
  if (taken > 0) visited.rounds.push(taken);
  else visited.failures++;
}

function conclude(
  visited: Visited,
  { reason, readings }: { readonly reason: StopReason; readonly readings: readonly number[] },
): WorkSamples {
  const { samples, rounds, sweeps, plan: { repeats, spansPerSample }, cpuSamples } = visited;
  const drifting = driftingReadings(readings);
  const driftingSamples = samples.flatMap((_, i) =>
    drifting.has(visited.readings[i]! - 1) ? [i] : []
  );
  const warnings: string[] = [];
  if (visited.failures > 0) {
    warnings.push(`the GPU's clock gave no time in ${visited.failures} submissions`);
  }
  const first = visited.readings[0]! - 1;
  const last = visited.readings.at(-1)!;
  return {
    samples,
    rounds,
    ...sweeps.length === 0 ? {} : { sweeps },
    repeats: repeats * spansPerSample,
    // Drop all CPU times if a sample has none, or has 0 because the CPU's clock is too coarse.
    ...cpuSamples.length === samples.length && cpuSamples.every((time) => time > 0)
      ? { cpuSamples }
      : {},
    throttleSamples: readings.slice(Math.max(0, first), last + 1),
    driftingSamples,
    stopReason: reason,
    warnings,
  };
}

/**
 * Finds the runs of the reference kernel that show a slow machine: the median of the run and its
 * neighbors exceeds the lower quartile of all runs by more than 15 %. A single slow run is noise,
 * not drift; the lower quartile represents the machine when it was not slow.
 *
 * @param readings the reference kernel's times, in order
 * @returns the indices of the runs that show a slow machine
 */
export function driftingReadings(readings: readonly number[]): ReadonlySet<number> {
  if (readings.length < 4) return new Set();
  const usual = readings.toSorted((a, b) => a - b)[Math.floor((readings.length - 1) / 4)]!;
  return new Set(
    readings.flatMap((_, i) => {
      const start = Math.min(Math.max(0, i - 1), readings.length - 3);
      return median(readings.slice(start, start + 3))! > DRIFT * usual ? [i] : [];
    }),
  );
}
