/**
 * The rounds of the bench: how many a budget allows, and the samples of several processes in one
 * measurement.
 */
import type { MeasuredProcess, Measurement } from "./result_file.ts";

/** Fewer processes do not show how much processes differ. */
export const LEAST_PROCESSES = 3;
/** More processes than these are not worth their start. */
export const MOST_PROCESSES = 16;
/**
 * What a process costs before it takes samples, in seconds: by itself, and for each measurement,
 * with the driver's compiled kernels at hand. Measured on lavapipe with two busy cores.
 */
export const PROCESS_COST = 1.5;
/** See {@linkcode PROCESS_COST}. */
export const MEASUREMENT_COST = 0.1;
/** Budget over cost of all processes: a third goes to the processes, the rest to samples. */
const BUDGET_TO_COST = 3;

/**
 * How many processes take each measurement.
 *
 * @param seconds the budget of the whole run
 * @param measurements how many it is for
 * @returns 3 to 16
 */
export function processesWithin(seconds: number, measurements: number): number {
  const wanted = Math.floor(seconds / budgetFor(1, measurements));
  return Math.min(MOST_PROCESSES, Math.max(LEAST_PROCESSES, wanted));
}

/**
 * The least budget for a number of processes.
 *
 * @param processes how many
 * @param measurements how many measurements the budget is for
 * @returns seconds
 */
export function budgetFor(processes: number, measurements: number): number {
  return BUDGET_TO_COST * processes * (PROCESS_COST + MEASUREMENT_COST * measurements);
}

/** The processes of a measurement; older files do not name their only one. */
export function processesOf(measurement: Measurement): readonly MeasuredProcess[] {
  const { processes, samples, throttleSamples = [], repeats } = measurement;
  if (processes !== undefined) return processes;
  if (samples.length === 0) return [];
  return [{
    round: 0,
    samples: samples.length,
    throttleSamples: throttleSamples.length,
    ...repeats === undefined ? {} : { repeats },
  }];
}

/**
 * Whether a measurement has a round's samples, or needs none because it failed.
 *
 * @param measurement of a result file
 * @param round from 0 on
 */
export function hasRound(measurement: Measurement, round: number): boolean {
  // A clock that gave no times gives none in another process either.
  return measurement.samples.length === 0 ||
    processesOf(measurement).some((each) => each.round === round);
}

/**
 * Adds what another process measured.
 *
 * @param known what earlier processes measured; undefined if there was none
 * @param found.round the process's round
 * @param found.measurement what it measured; an answer that is wrong, or a process that failed,
 *   replaces what is known: a speed is reported of kernels that work each time
 */
export function addProcess(
  known: Measurement | undefined,
  found: { readonly round: number; readonly measurement: Measurement },
): Measurement {
  const { round, measurement } = found;
  if (measurement.samples.length === 0) {
    const { processes: _, ...rest } = measurement;
    return (measurement.status ?? "ok") === "ok" && known !== undefined ? known : rest;
  }
  const own = processesOf(measurement).map((each) => ({ ...each, round }));
  if (known === undefined || known.samples.length === 0) return { ...measurement, processes: own };
  const joined = <Item>(
    ...lists: readonly (readonly Item[] | undefined)[]
  ): readonly Item[] | undefined =>
    lists.some((list) => list === undefined) ? undefined : lists.flatMap((list) => list!);
  const optional = {
    rounds: joined(known.rounds, measurement.rounds),
    sweeps: joined(known.sweeps, measurement.sweeps),
    cpuSamples: joined(known.cpuSamples, measurement.cpuSamples),
    driftingSamples: joined(
      known.driftingSamples,
      measurement.driftingSamples?.map((index) => known.samples.length + index),
    ),
  };
  const { rounds: _, sweeps: _sweeps, cpuSamples: _cpu, driftingSamples: _drifting, ...rest } =
    known;
  const warnings = [...new Set([...known.warnings ?? [], ...measurement.warnings ?? []])];
  return {
    ...rest,
    samples: [...known.samples, ...measurement.samples],
    processes: [...processesOf(known), ...own],
    throttleSamples: [...known.throttleSamples ?? [], ...measurement.throttleSamples ?? []],
    ...Object.fromEntries(Object.entries(optional).filter(([, list]) => list !== undefined)),
    ...measurement.stopReason === undefined ? {} : { stopReason: measurement.stopReason },
    ...warnings.length === 0 ? {} : { warnings },
  };
}

/**
 * Takes out what an interrupt cut short: the last process's samples.
 *
 * @param measurement of a result file
 * @returns the measurement without them; nothing if no process is left
 */
export function withoutInterrupted(measurement: Measurement): readonly Measurement[] {
  if (measurement.stopReason !== "interrupted") return [measurement];
  const processes = processesOf(measurement).slice(0, -1);
  if (processes.length === 0) return [];
  const samples = processes.reduce((sum, each) => sum + each.samples, 0);
  const throttle = processes.reduce((sum, each) => sum + each.throttleSamples, 0);
  const { stopReason: _, rounds, sweeps, cpuSamples, driftingSamples, ...rest } = measurement;
  let left = samples;
  const turns = rounds?.filter((count) => (left -= count) >= 0);
  return [{
    ...rest,
    samples: measurement.samples.slice(0, samples),
    processes,
    throttleSamples: (measurement.throttleSamples ?? []).slice(0, throttle),
    ...turns === undefined ? {} : { rounds: turns },
    ...sweeps === undefined || turns === undefined ? {} : { sweeps: sweeps.slice(0, turns.length) },
    ...cpuSamples === undefined ? {} : { cpuSamples: cpuSamples.slice(0, samples) },
    ...driftingSamples === undefined
      ? {}
      : { driftingSamples: driftingSamples.filter((index) => index < samples) },
  }];
}
