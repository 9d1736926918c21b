/**
 * Samples in turns with another process: this one does nothing until it is given its turn, so that
 * no sample is taken while the other one computes. Whoever gives the turns says which work is
 * visited and when it is enough, so that both processes visit the same work side by side.
 *
 * No Deno call here.
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

/** The right to use the machine, until the next one is requested; work is named by its index. */
export type Turn =
  /** Find out how many runs make a visit. */
  | { readonly step: "calibrate" }
  | {
    readonly step: "visit";
    readonly index: number;
    /** The same number means visits side by side. */
    readonly sweep: number;
    /** What to run, so that both processes run equally much. */
    readonly plan: VisitPlan;
  }
  | {
    readonly step: "end";
    /** Why the sampling of each piece of work ended. */
    readonly reasons: ReadonlyMap<number, StopReason>;
  };

/** What a process reports with its request for the next turn. */
export interface TurnState {
  /** What has been done. */
  readonly after: "preparation" | "calibration" | "visit";
  /** After the calibration: what a visit of each piece of work would run, by its index. */
  readonly plans?: ReadonlyMap<number, VisitPlan>;
  /** After a visit: the mean time of a run in ns; undefined where the clock gave none. */
  readonly time?: number | undefined;
}

/** How to sample in turns. */
export interface TurnOptions extends VisitOptions {
  /** Waits for the next turn. */
  readonly turn: (state: TurnState) => Promise<Turn>;
}

/**
 * Samples work as the turns say.
 *
 * @param work what to sample
 * @param options the turns, the timer and the reference kernel
 * @returns the samples of each, in the order of `work`; undefined where there is no data
 * @throws {GpuError} if the GPU fails; `visit` told what ran
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
