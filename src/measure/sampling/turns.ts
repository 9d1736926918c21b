/**
 * Samples in turns with another process. This process waits for its turn, so no sample is taken
 * while the other one computes. The bench gives the turns: it decides which work to visit and when
 * to stop, so both processes visit the same work right after each other.
 *
 * This file calls no Deno API.
 */
import type { StopReason } from "../result_file.ts";
import {
  type SampledWork,
  type VisitOptions,
  type VisitPlan,
  Visits,
  type WorkSamples,
} from "./visits.ts";
import { mean } from "../../statistics/mean.ts";

/**
 * The permission to use the machine until the next turn is requested. Work is named by its index.
 */
export type Turn =
  /** Run each piece of work a few times, to plan its visits. */
  | { readonly step: "calibrate" }
  | {
    readonly step: "visit";
    readonly index: number;
    /** The sweep's number. In a sweep both processes visit this work, one right after the other. */
    readonly sweep: number;
    /** The visit's plan. Both processes get the same one, so they run the work equally often. */
    readonly plan: VisitPlan;
  }
  | {
    readonly step: "end";
    /** Why the sampling of each piece of work ended. */
    readonly reasons: ReadonlyMap<number, StopReason>;
  };

/** What a process reports when it requests the next turn. */
export interface TurnState {
  /** The step that the process has finished. */
  readonly after: "preparation" | "calibration" | "visit";
  /** After the calibration: how to visit each piece of work, by the piece's index. */
  readonly plans?: ReadonlyMap<number, VisitPlan>;
  /** After a visit: the mean time of a run in ns; undefined if the clock gave none. */
  readonly time?: number | undefined;
}

/** Options of {@linkcode sampleInTurns}. */
export interface TurnOptions extends VisitOptions {
  /** Waits for the next turn. */
  readonly turn: (state: TurnState) => Promise<Turn>;
}

/**
 * Samples work in the order of the turns.
 *
 * @returns the samples of each piece of work, in the order of `work`; undefined for a piece without
 *   data
 * @throws {GpuError} if the GPU fails; the last call of `options.visit` tells which work ran
 * @throws {Error} if a turn visits work that has no plan, or asks for a second calibration
 */
export async function sampleInTurns(
  work: readonly SampledWork[],
  options: TurnOptions,
): Promise<(WorkSamples | undefined)[]> {
  const { turn, interrupted = () => false } = options;
  if ((await turn({ after: "preparation" })).step === "end") return work.map(() => undefined);
  const visits = await Visits.prepare(work, options);
  const found = new Map(visits.work.map((each) => [each.index, each]));
  const plans = new Map([...found].map(([index, { plan }]) => [index, plan]));
  let given = await turn({ after: "calibration", plans });
  while (given.step !== "end" && !interrupted()) {
    const each = given.step === "visit" ? found.get(given.index) : undefined;
    if (given.step !== "visit" || each === undefined) throw new Error("a turn of no use was given");
    each.plan = given.plan;
    const times = await visits.visit(each);
    if (times.length > 0) each.sweeps.push(given.sweep);
    given = await turn({ after: "visit", time: times.length === 0 ? undefined : mean(times) });
  }
  const reasons = given.step === "end" ? given.reasons : new Map<number, StopReason>();
  for (const each of visits.work) visits.end(each, reasons.get(each.index) ?? "interrupted");
  return visits.results;
}
