/**
 * The rounds of the bench. In each round a new process takes every measurement. This file decides
 * how many rounds a budget allows, and joins the samples of several processes to one measurement.
 */
import type { MeasuredProcess, Measurement } from "./result_file.ts";

/** Fewer processes than this cannot show how much processes differ. */
export const LEAST_PROCESSES = 3;
/** Starting more processes would cost more time than their samples are worth. */
export const MOST_PROCESSES = 16;
/**
 * The time in seconds that a process needs before it takes samples. Measured on lavapipe with two
 * busy cores, with the compiled kernels in the driver's cache.
 */
export const PROCESS_COST = 1.5;
/** The time in seconds that a measurement adds to a process before it takes samples. */
export const MEASUREMENT_COST = 0.1;
/**
 * The least budget, as a multiple of the time that the processes need before they take samples. Two
 * thirds of the budget then remain for samples and ceilings.
 */
const BUDGET_TO_COST = 3;

/**
 * Computes how many processes take each measurement.
 *
 * @param seconds the budget of the whole run
 * @returns 3 to 16
 */
export function processesWithin(seconds: number, measurements: number): number {
  const wanted = Math.floor(seconds / budgetFor(1, measurements));
  return Math.min(MOST_PROCESSES, Math.max(LEAST_PROCESSES, wanted));
}

/** The least budget, in seconds, for this many processes that each take this many measurements. */
export function budgetFor(processes: number, measurements: number): number {
  return BUDGET_TO_COST * processes * (PROCESS_COST + MEASUREMENT_COST * measurements);
}

/** The processes of a measurement; for older files, which do not list them, a single one. */
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
 * Whether a measurement needs no process in a round. That is so if it has the round's samples
 * already. It is also so if it has no samples at all, because it failed or the clock gave no times:
 * another process would not change that.
 */
export function hasRound(measurement: Measurement, round: number): boolean {
  return measurement.samples.length === 0 ||
    processesOf(measurement).some((each) => each.round === round);
}

/**
 * Adds another process's measurement.
 *
 * @param known the measurement of earlier processes; undefined if there is none
 * @param found.round the process's round
 * @param found.measurement the process's measurement. A wrong answer or a failure replaces the
 *   known measurement, because only kernels that always work get a speed
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
 * Removes the last process's samples, if an interrupt cut them short.
 *
 * @returns a list with what remains of the measurement; empty if no process remains
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
