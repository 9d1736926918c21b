/**
 * Measures what a GPU does at best: the rates of arithmetic, copying and exponentials, and the time
 * of a dispatch and of a submission.
 *
 * A kernel's figure counts only if the kernel computed its known result, so a kernel that computed
 * nothing gives no ceiling. Most kernels have several forms, for example with 1 to 16 accumulators;
 * the fastest form counts.
 */
import type { Gpu } from "../gpu/gpu.ts";
import {
  type Candidate,
  type CandidateGroup,
  ceilingCandidates,
  type CeilingName,
} from "./ceilings/candidates.ts";
import { withInterval } from "./ceilings/uncertainty.ts";
import type { Ceiling, CeilingForm, Ceilings } from "./result_file.ts";
import { median } from "../statistics/summary.ts";
import type { GpuTimer } from "./timing.ts";
import { chooseRepeats } from "./timing/repeats.ts";

/** Result of {@linkcode measureCeilings}. */
export interface MeasuredCeilings {
  /** The figures; null for no data. */
  readonly ceilings: Ceilings;
  /** One line for each form of a kernel that gave a wrong result. */
  readonly warnings: readonly string[];
}

/** Options of {@linkcode measureCeilings}. */
export interface MeasureCeilingsOptions {
  /** The GPU's clock. */
  readonly timer: GpuTimer;
  /**
   * The least number of rounds. Each takes one sample of every remaining candidate. More rounds
   * follow until the three best samples of the best candidate agree. Default 8.
   */
  readonly rounds?: number;
  /**
   * The time in ns for all samples of one ceiling. Once it is used up, no round after the first
   * `rounds` begins, even if the three best samples do not agree. Default 2e9.
   */
  readonly patience?: number;
  /** The ceilings to measure. Default: all that the GPU has. */
  readonly groups?: readonly CandidateGroup[];
  /** Called and awaited before each ceiling; `part` is the share of ceilings already measured. */
  readonly progress?: (
    step: { readonly name: string; readonly part: number },
  ) => void | Promise<void>;
}

/**
 * A sample repeats a run until the sample lasts at least this many ns, but at most
 * `MAXIMUM_REPEATS` times. Beside so long a sample, the overhead of a pass is negligible.
 */
const SAMPLE_TIME = 10e6;
/** After three rounds, candidates more than this many times as slow as the best are dropped. */
const HOPELESS = 2;
/** The three best samples agree if they differ by no more than this factor. */
const SETTLED = 1.03;
/** If the three best samples do not agree, sampling ends after this many rounds. */
const MAXIMUM_ROUNDS = 60;
/** The most runs in one sample. */
const MAXIMUM_REPEATS = 4096;

const units = {
  f32Fma: "flop/s",
  f16Fma: "flop/s",
  copyBandwidth: "byte/s",
  expRate: "op/s",
  dispatchOverhead: "ns",
} as const;

/**
 * Measures the ceilings of a GPU.
 *
 * @param gpu the GPU
 * @param options its timer, and how often to sample
 * @returns the ceilings; a ceiling is null if the adapter lacks the feature that it needs, or if no
 *   form of its kernel gave a right result and a time
 * @throws {GpuError} if the GPU fails
 */
export async function measureCeilings(
  gpu: Gpu,
  { timer, rounds = 8, patience = 2e9, groups = ceilingCandidates(gpu), progress }:
    MeasureCeilingsOptions,
): Promise<MeasuredCeilings> {
  const warnings: string[] = [];
  const found: Partial<Record<CeilingName, Ceiling<string> | null>> = {};
  for (const [index, { name, prepare }] of groups.entries()) {
    await progress?.({ name, part: index / groups.length });
    found[name] = null;
    if (prepare === undefined) continue;
    const candidates = prepare();
    try {
      const sampled = await sample(candidates, { gpu, timer, rounds, patience, warnings });
      if (sampled.length > 0) found[name] = ceiling(name, sampled);
    } finally {
      for (const candidate of candidates) candidate.dispose();
    }
  }
  const waits = timer.submitAndWait;
  const submitAndWait: Ceiling<"ns"> = {
    value: median(waits)!,
    unit: "ns",
    samples: waits,
    method: "median of submissions of one empty dispatch",
  };
  return {
    ceilings: { ...found as Ceilings, submitAndWait: withInterval(submitAndWait) },
    warnings,
  };
}

/**
 * Merges two measurements of one adapter's ceilings: takes each ceiling's better figure, with its
 * method. Other work at the time only makes a figure worse, so the better one is closer to the
 * adapter's ceiling. Keeps the better figure of each form of a kernel, too.
 */
export function mergeCeilings(first: Ceilings, second: Ceilings): Ceilings {
  const merged: Record<string, Ceiling<string> | null | undefined> = { ...first };
  for (const [name, found] of Object.entries(second) as [string, Ceiling<string> | null][]) {
    const known = merged[name];
    if (!known) merged[name] = found;
    else if (found !== null) {
      const forms = bestForms([...known.forms ?? [], ...found.forms ?? []]);
      const { samples, ...rest } = better(found, known) ? found : known;
      // If the same form of the kernel was best in both measurements, pool their samples: a rate's
      // interval then comes from all. A time in ns is the median of one measurement: pool nothing.
      const pool = rest.unit !== "ns" && found.method === known.method &&
        found.samples !== undefined && known.samples !== undefined;
      const all = pool ? [...known.samples!, ...found.samples!] : samples;
      merged[name] = {
        ...withInterval(all === undefined ? rest : { ...rest, samples: all }),
        ...forms,
      };
    }
  }
  return merged as Ceilings;
}

// The best figure of each form, best form first; empty if there are fewer than two forms.
function bestForms(all: readonly CeilingForm[]): { readonly forms?: readonly CeilingForm[] } {
  const forms = new Map<string, CeilingForm>();
  for (const form of all) {
    const known = forms.get(form.method);
    if (known === undefined || form.value > known.value) forms.set(form.method, form);
  }
  return forms.size < 2 ? {} : { forms: [...forms.values()].sort((a, b) => b.value - a.value) };
}

function better(a: Ceiling<string>, b: Ceiling<string>): boolean {
  return a.unit === "ns" ? a.value < b.value : a.value > b.value;
}

/** A candidate's samples: ns per unit of its work. */
interface Sampled {
  readonly candidate: Candidate;
  readonly times: number[];
}

function ceiling(name: CeilingName, sampled: readonly Sampled[]): Ceiling<string> {
  const { candidate: { method }, times } = bestSampled(sampled);
  if (name === "dispatchOverhead") {
    const value = median(times)!;
    return withInterval({ value, unit: "ns", samples: times, method: `median, ${method}` });
  }
  const rates = times.map((time) => 1e9 / time);
  const forms = sampled.map((each) => ({ method: each.candidate.method, value: 1e9 / best(each) }));
  const unit = units[name];
  return {
    ...withInterval({ value: Math.max(...rates), unit, samples: rates, method }),
    ...bestForms(forms),
  };
}

interface Sampling {
  readonly gpu: Gpu;
  readonly timer: GpuTimer;
  readonly rounds: number;
  readonly patience: number;
  readonly warnings: string[];
}

async function sample(
  candidates: readonly Candidate[],
  { gpu, timer, rounds, patience, warnings }: Sampling,
): Promise<Sampled[]> {
  const valid: (Sampled & { repeats: number })[] = [];
  for (const candidate of candidates) {
    candidate.poison();
    gpu.run(candidate.plan);
    await gpu.sync(); // Compiles.
    const fault = await candidate.fault(1);
    if (fault === undefined) {
      const repeats = await chooseRepeats((pass) => candidate.plan.encode(pass), {
        timer,
        span: Math.max(SAMPLE_TIME, timer.minimumSpan),
        maximum: MAXIMUM_REPEATS,
      });
      valid.push({ candidate, times: [], repeats });
    } else warnings.push(`no ceiling from ${candidate.method}: ${fault}`);
  }
  // Sample the candidates in turn, so a slow moment of the machine affects all candidates alike.
  let running = valid;
  let spent = 0;
  for (let round = 0; round < MAXIMUM_ROUNDS; round++) {
    if (valid.length === 0) break;
    if (round >= rounds && (spent > patience || isSettled(bestSampled(valid)))) break;
    if (round === 3) {
      const least = Math.min(...valid.map(best));
      running = valid.filter((sampled) => best(sampled) <= HOPELESS * least);
    }
    for (const { candidate, times, repeats } of running) {
      const { spans, wall } = await timer.time([(pass) => {
        for (let i = 0; i < repeats; i++) candidate.plan.encode(pass);
      }]);
      spent += wall;
      if (spans[0] !== undefined) times.push(spans[0] / repeats / candidate.work);
    }
  }
  await gpu.sync();
  return valid.filter(({ times }) => times.length > 0);
}

function bestSampled(list: readonly Sampled[]): Sampled {
  return list.toSorted((a, b) => best(a) - best(b))[0]!;
}

// Whether the three best samples agree. On a busy machine, only samples from quiet moments agree.
function isSettled({ times }: Sampled): boolean {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted.length >= 3 && sorted[2]! <= SETTLED * sorted[0]!;
}

function best({ times }: Sampled): number {
  return Math.min(...times);
}
