/**
 * The comparison: all libraries take turns at the same work, and only right answers are timed. This
 * module does not deal with processes.
 */
import { shuffler } from "../../src/measure/sampling.ts";
import { median, medianInterval } from "../../src/statistics/summary.ts";
import { largestError } from "../../src/measure/workloads/samples.ts";
import type { Contender } from "./contender.ts";
import type { Stretch } from "./protocol.ts";
import { MODEL_TOLERANCE, modelStretches } from "./model_works.ts";
import { TOLERANCE, type WantedNumbers, wantedOf, type Work } from "./works.ts";

/** The result of a library, or of one of its ways to do the work. */
export interface PeerResult {
  readonly library: string;
  readonly way: string;
  /** `absent`: the library cannot do the work, is not installed, or runs on another adapter. */
  readonly status: "ok" | "wrong" | "failed" | "absent";
  readonly reason?: string;
  /** The largest error of the answer, as `largestError` measures it. */
  readonly error?: number;
  /** ms of the first run. */
  readonly first?: number;
  /** The number of runs per sample. */
  readonly runs?: number;
  /** The time of one run in ns: one sample from each round of the comparison. */
  readonly samples: readonly number[];
  /** The CPU time of one run in ns, summed over the process's threads. */
  readonly cpuSamples: readonly number[];
}

/** All libraries' results on one work. */
export interface WorkResult {
  readonly work: Work;
  readonly results: readonly PeerResult[];
}

/** A library in the comparison. */
export interface Participant {
  readonly library: string;
  readonly contender: Contender;
}

/** Options of the comparison. */
export interface CompareOptions {
  /** Seconds of sampling; more if six rounds take longer. */
  readonly budget: number;
  readonly seed: number;
  /** A clock in ms, from any origin. */
  readonly now: () => number;
  readonly progress?: (text: string) => void;
  readonly interrupted?: () => boolean;
}

/** A sample should last this many ns, because waiting for the GPU costs up to 11 ms in Deno. */
const SAMPLE_TIME = 400e6;
const MOST_RUNS = 256;
const ROUNDS = { least: 6, most: 24 };

interface Runner {
  readonly library: string;
  readonly contender: Contender;
  readonly index: number;
  readonly runs: number;
  readonly samples: number[];
  readonly cpuSamples: number[];
  readonly known: Pick<PeerResult, "way" | "error" | "first">;
  /** The library's answer: a list of numbers for each requested stretch of its results. */
  readonly numbers: readonly (readonly number[])[];
  reason?: string;
}

/**
 * Compares libraries on one work.
 *
 * @param participants the libraries; for a model's work, all later answers must agree with the
 *   first usable one
 */
export async function compareOn(
  work: Work,
  participants: readonly Participant[],
  options: CompareOptions,
): Promise<WorkResult> {
  const { budget, seed, now, progress, interrupted = () => false } = options;
  let wanted = work.operator === "model" ? undefined : wantedOf(work);
  const results: PeerResult[] = [];
  const runners: Runner[] = [];
  for (const participant of participants) {
    if (interrupted()) break;
    progress?.(`${work.name}: ${participant.library}, compiling and checking`);
    const { faulty, sound } = await prepareOn(work, participant, wanted);
    results.push(...faulty);
    runners.push(...sound);
    wanted ??= sound.length === 0 ? undefined : modelStretches(work)
      .map(({ output, start }, i) => ({ output, start, wanted: sound[0]!.numbers[i]! }));
  }
  const shuffle = shuffler(seed);
  const start = now();
  for (let round = 1; round <= ROUNDS.most && !interrupted(); round++) {
    progress?.(`${work.name}: round ${round}`);
    for (const runner of shuffle(runners.filter(({ reason }) => reason === undefined))) {
      if (interrupted()) break;
      await sample(runner);
    }
    const perRound = (now() - start) / round;
    if (round >= ROUNDS.least && now() - start + perRound > 1000 * budget) break;
  }
  for (const { library, known, runs, samples, cpuSamples, reason } of runners) {
    results.push({
      library,
      ...known,
      status: reason === undefined ? "ok" : "failed",
      ...reason === undefined ? {} : { reason },
      runs,
      samples,
      cpuSamples,
    });
  }
  const place = ({ library }: PeerResult): number =>
    participants.findIndex((each) => each.library === library);
  return { work, results: results.sort((a, b) => place(a) - place(b)) };
}

async function prepareOn(
  work: Work,
  { library, contender }: Participant,
  wanted: readonly WantedNumbers[] | undefined,
): Promise<{ faulty: PeerResult[]; sound: Runner[] }> {
  const nothing = { samples: [], cpuSamples: [] };
  const stretches = wanted === undefined
    ? modelStretches(work)
    : wanted.map(({ output, start, wanted }) => ({ output, start, length: wanted.length }));
  const reply = await contender.ask({ type: "prepare", work, stretches });
  if (reply.type !== "prepared") {
    const reason = reply.type === "failed" ? reply.reason : `an answer out of turn, ${reply.type}`;
    return { faulty: [{ library, way: "", status: "failed", reason, ...nothing }], sound: [] };
  }
  if (reply.ways.length === 0) {
    const reason = "it has no such operation";
    return { faulty: [{ library, way: "", status: "absent", reason, ...nothing }], sound: [] };
  }
  const faulty: PeerResult[] = [];
  const sound: Runner[] = [];
  for (const [index, { name: way, numbers: given, fault, first }] of reply.ways.entries()) {
    const known = { way, ...first === undefined ? {} : { first } };
    if (given === undefined) {
      faulty.push({
        library,
        ...known,
        status: "failed",
        reason: fault ?? "no answer",
        ...nothing,
      });
      continue;
    }
    const numbers = given.map((row) => row.map((each) => each ?? NaN)); // JSON has no NaN
    const { error, output } = wanted === undefined
      ? unchecked(numbers, stretches)
      : largestError(wanted.map(({ output, wanted, magnitude }, i) => ({
        output,
        actual: numbers[i]!,
        wanted,
        ...magnitude === undefined ? {} : { magnitude },
      })));
    if (!(error <= (work.operator === "model" ? MODEL_TOLERANCE : TOLERANCE))) {
      const reason = `${output} is off by ${error.toPrecision(3)}`;
      faulty.push({ library, ...known, error, status: "wrong", reason, ...nothing });
      continue;
    }
    const pilot = await contender.ask({ type: "sample", way: index, runs: 1 });
    if (pilot.type !== "sampled") {
      const reason = pilot.type === "failed" ? pilot.reason : "an answer out of turn";
      faulty.push({ library, ...known, error, status: "failed", reason, ...nothing });
      continue;
    }
    // The second timing waits for results only once, after up to 8 runs, so the wait adds less to
    // the time of each run.
    const few = Math.ceil(Math.min(8, SAMPLE_TIME / 4 / pilot.wall));
    const second = await contender.ask({ type: "sample", way: index, runs: few });
    const time = second.type === "sampled" ? second.wall / few : pilot.wall;
    const runs = Math.max(1, Math.min(MOST_RUNS, Math.ceil(SAMPLE_TIME / time)));
    const lists = { samples: [], cpuSamples: [] };
    sound.push({ library, contender, index, runs, ...lists, numbers, known: { ...known, error } });
  }
  return { faulty, sound };
}

/** Accepts a model's first answer if its numbers are finite. Later answers must agree with it. */
function unchecked(
  numbers: readonly (readonly number[])[],
  stretches: readonly Stretch[],
): { readonly error: number; readonly output: string } {
  const bad = numbers.findIndex((row) => !row.every(Number.isFinite));
  return { error: bad < 0 ? 0 : Infinity, output: stretches[bad]?.output ?? "" };
}

async function sample(runner: Runner): Promise<void> {
  const { contender, index, runs } = runner;
  const reply = await contender.ask({ type: "sample", way: index, runs });
  if (reply.type === "sampled") {
    runner.samples.push(reply.wall / runs);
    runner.cpuSamples.push(reply.cpu / runs);
  } else runner.reason = reply.type === "failed" ? reply.reason : "an answer out of turn";
}

/** The ratio of two libraries' times. */
export interface Ratio {
  readonly median: number;
  readonly low: number | undefined;
  readonly high: number | undefined;
}

/**
 * The ratio of a library's times, `samples`, to another library's times, `base`. Each sample is
 * divided by the other library's sample of the same round, which met the same conditions.
 *
 * @returns the median over the rounds, with its 95 % interval; undefined if the libraries have no
 *   round in common
 */
export function ratioOf(samples: readonly number[], base: readonly number[]): Ratio | undefined {
  const ratios = samples.slice(0, base.length).map((sample, round) => sample / base[round]!);
  const center = median(ratios);
  if (center === undefined) return undefined;
  const interval = medianInterval(ratios);
  return { median: center, low: interval?.low, high: interval?.high };
}

/**
 * The result that represents each library on one work: its fastest correct way, or else its first
 * failure.
 */
export function bestOfEach(results: readonly PeerResult[]): PeerResult[] {
  const best = new Map<string, PeerResult>();
  for (const result of results) {
    const other = best.get(result.library);
    const time = (each: PeerResult) => each.status === "ok" ? median(each.samples) : undefined;
    if (other === undefined || (time(result) ?? Infinity) < (time(other) ?? Infinity)) {
      best.set(result.library, result);
    }
  }
  return [...best.values()];
}
