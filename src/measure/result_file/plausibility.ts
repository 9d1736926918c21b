/**
 * Checks whether a stranger's result file can be true: its rates against adapters' limits, its
 * samples against clocks, its fields against this project's runs. It cannot prove that a file is
 * honest.
 */
import { median } from "../../statistics/summary.ts";
import type { Ceilings, Measurement, ResultFile } from "../result_file.ts";
import { operatorNames } from "../workloads/operators.ts";

/** The findings in a file, one line each. */
export interface Plausibility {
  /** What is impossible, or not allowed in an accepted file. */
  readonly problems: readonly string[];
  /** What a reader should know. */
  readonly notes: readonly string[];
}

/**
 * The greatest plausible figures of an adapter. They are several times what the largest GPUs of
 * 2026 reach: about 160 TFLOP/s in f32 outside matrix units (AMD Instinct MI300X), at most twice as
 * much in f16, and 8 TB/s (HBM3e).
 */
const MOST = { f32Fma: 5e14, f16Fma: 2e15, copyBandwidth: 5e13, expRate: 1e14 } as const;

/**
 * The greatest plausible figures of a software adapter with one logical processor: 6 GHz × two FMA
 * units of 16 lanes × two operations, about twice that in f16, and a cache's bandwidth.
 */
const MOST_SOFTWARE = { f32Fma: 4e11, f16Fma: 8e11, copyBandwidth: 2e11, expRate: 2e11 } as const;

/** The least plausible times in ns: of one dispatch, and of one submission with its wait. */
const LEAST = { dispatchOverhead: 1, submitAndWait: 100 } as const;

/** Clocks and ceilings err by less than this factor. */
const SLACK = 1.25;

/** Reading from a cache can be up to this many times as fast as copying memory. */
const CACHE = 40;

/** With a cold cache, a call takes at least this share of its time with a hot cache. */
const COLD = 0.5;

/**
 * Looks for impossible contents in a result file that matches its schema.
 *
 * @param options.now the current time in ms since 1970; a run can begin at most a day later
 */
export function checkPlausibility(
  file: ResultFile,
  { now }: { readonly now: number },
): Plausibility {
  const { suite, date, status, measurements } = file;
  const problems: string[] = [];
  const notes: string[] = [];
  if (suite.commit === null) {
    problems.push("suite.commit is null: which kernels ran is not known; measure in a git clone");
  } else if (!/^[0-9a-f]{40}$/.test(suite.commit)) {
    problems.push(
      `suite.commit is ${suite.commit}: which kernels ran is not known; measure a commit without changes`,
    );
  }
  // Allow a day for wrong clocks and time zones.
  if (Date.parse(date) > now + 86_400_000) problems.push(`date is ${date}, which is to come`);
  if (status === "incomplete") notes.push("the run is incomplete");
  if (measurements.length === 0) problems.push("holds no measurement");
  problems.push(...ceilingProblems(file));
  if (file.ceilings.f32Fma == null || file.ceilings.copyBandwidth == null) {
    notes.push("has no ceilings: rates cannot be checked against them");
  }
  for (const measurement of measurements) {
    const found = measurementProblems(measurement, file.ceilings);
    problems.push(...found.map((each) => `${nameOf(measurement)}: ${each}`));
    if (!(operatorNames as readonly string[]).includes(measurement.kernel)) {
      notes.push(`${nameOf(measurement)}: is of no operator of this version`);
    }
  }
  problems.push(...pairProblems(measurements));
  return { problems, notes };
}

function nameOf({ kernel, pass, shape, variant, cache = "hot" }: Measurement): string {
  const lengths = Object.entries(shape).map(([name, value]) => `${name}${value}`).join(" ");
  return `${kernel} ${pass} ${lengths} ${variant} ${cache}`;
}

function ceilingProblems({ ceilings, adapter, host }: ResultFile): string[] {
  const problems: string[] = [];
  const processors = host.logicalProcessors ?? 1024;
  for (const name of Object.keys(MOST) as (keyof typeof MOST)[]) {
    const ceiling = ceilings[name];
    if (ceiling == null) continue;
    const most = adapter.software === true
      ? Math.min(MOST[name], processors * MOST_SOFTWARE[name])
      : MOST[name];
    if (ceiling.value > most) {
      problems.push(
        `ceilings.${name} is ${ceiling.value.toExponential(2)} ${ceiling.unit}, above the ` +
          `${most.toExponential(1)} that ${
            adapter.software === true
              ? `a software adapter on ${processors} processors`
              : "any adapter"
          } can have`,
      );
    }
    // A true figure is the greatest sample, so a figure far above all samples is false.
    const best = Math.max(...ceiling.samples ?? [ceiling.value]);
    if (ceiling.value > SLACK * best) {
      problems.push(
        `ceilings.${name} is ${ceiling.value.toExponential(2)}, its best sample ${
          best.toExponential(2)
        }`,
      );
    }
  }
  for (const name of Object.keys(LEAST) as (keyof typeof LEAST)[]) {
    const time = ceilings[name]?.value;
    if (time !== undefined && time < LEAST[name]) {
      problems.push(`ceilings.${name} is ${time} ns, wanted at least ${LEAST[name]} ns`);
    }
  }
  return problems;
}

function measurementProblems(measurement: Measurement, ceilings: Ceilings): string[] {
  const { status = "ok", correctness, samples, timer, flops, bytes, cache = "hot" } = measurement;
  if (status === "wrong") return ["computed a wrong answer"];
  if (status !== "ok") return [];
  const problems: string[] = [];
  if (correctness === undefined) problems.push("its answer was not checked");
  else if (!(correctness.error <= correctness.tolerance)) {
    problems.push(
      `its error is ${correctness.error}, above the tolerance of ${correctness.tolerance}, and it counts as right`,
    );
  } else if (correctness.tolerance > 0.1) {
    problems.push(`its tolerance is ${correctness.tolerance}: no check of this project is so wide`);
  }
  const time = median(samples);
  if (time === undefined) return [...problems, "has no sample"];
  // Coarse clocks can make samples equal, but not samples that last many steps of the clock.
  if (samples.length >= 10 && new Set(samples).size === 1 && time > 50 * timer.quantum) {
    problems.push(`its ${samples.length} samples are all ${time} ns: no clock shows that`);
  }
  const arithmetic = measurement.dtype === "f16" ? ceilings.f16Fma : ceilings.f32Fma;
  const rates = [
    ["arithmetic", flops, arithmetic?.value, SLACK],
    ["traffic", bytes, ceilings.copyBandwidth?.value, cache === "cold" ? 2 * SLACK : CACHE],
  ] as const;
  for (const [name, amount, ceiling, allowed] of rates) {
    if (ceiling === undefined || amount === 0) continue;
    const factor = amount / (time * 1e-9) / ceiling;
    if (factor > allowed) {
      problems.push(
        `its ${name} is ${
          factor.toPrecision(3)
        } times the measured ceiling, at most ${allowed} can be`,
      );
    }
  }
  return problems;
}

/** Finds pairs of measurements that are impossible together. */
function pairProblems(measurements: readonly Measurement[]): string[] {
  const problems: string[] = [];
  const hot = new Map<string, Measurement>();
  const lists = new Map<string, Measurement>();
  for (const measurement of measurements) {
    const { samples, cache = "hot" } = measurement;
    if (samples.length < 3) continue;
    if (cache === "hot") hot.set(nameOf(measurement), measurement);
    // If samples are copied, even multiplied by a factor, their ratios to the first stay the same.
    const pattern = samples.slice(0, 20).map((each) => (each / samples[0]!).toPrecision(6)).join();
    const other = new Set(samples).size > 2 ? lists.get(pattern) : undefined;
    if (other !== undefined) {
      problems.push(`${nameOf(measurement)}: its samples are those of ${nameOf(other)}, stretched`);
    }
    lists.set(pattern, measurement);
  }
  for (const measurement of measurements) {
    if (measurement.cache !== "cold" || measurement.samples.length < 3) continue;
    const warm = hot.get(nameOf({ ...measurement, cache: "hot" }));
    if (warm === undefined) continue;
    const ratio = median(measurement.samples)! / median(warm.samples)!;
    if (ratio < COLD) {
      problems.push(
        `${nameOf(measurement)}: takes ${
          ratio.toPrecision(2)
        } of its time with a hot cache, at least ${COLD} is possible`,
      );
    }
  }
  return problems;
}
