/**
 * Gives two measuring processes their turns. In a turn a process usually visits a job: it takes a
 * few samples of the job. A shared machine flips between two speeds every few hundred milliseconds,
 * so the times of two successive bench runs differ by more than most changes of a kernel cause. If
 * two processes visit the same job right after each other, the machine nearly always has the same
 * speed for both. The speed then cancels in the ratio of their times.
 *
 * A turn begins only when each process waits for one or has ended its batch, so no sample is taken
 * while the other process compiles or measures. In each sweep both processes visit every job that
 * is not yet precise; in the next sweep, the other process goes first.
 */
import type { ChildTurn, WaitingChild } from "../child/protocol.ts";
import type { StopReason } from "../result_file.ts";
import { relativeHalfWidth } from "../sampling/stopping.ts";
import { shuffler } from "../sampling.ts";
import type { VisitPlan } from "../sampling/visits.ts";

/** When the turns end, and in which order the jobs are visited. */
export interface TurnsOptions {
  /**
   * A job is precise once the interval of the median ratio of both processes' times has at most
   * this relative half-width.
   */
  readonly targetHalfWidth: number;
  /** The most sweeps. */
  readonly sweeps: number;
  /**
   * After this time, on the clock of `now`, a new sweep begins only if there were fewer than three.
   * `Turns` moves this time later if the two processes need long to get ready.
   */
  readonly end: number;
  /** Returns the time in milliseconds. Default `performance.now`. */
  readonly now?: () => number;
  /** Any safe integer; it decides the order of the visits. */
  readonly seed: number;
}

/** One of the two processes. */
export type Side = 0 | 1;

/** With fewer sweeps than this, a single disturbance would move the median. */
const LEAST_SWEEPS = 3;

/**
 * Even beyond the budget, a batch's sweeps may last this many times as long as the two processes
 * took to get ready. On a busy machine, where processes start slowly, few processes with many
 * visits each tell more than many processes with few visits each.
 */
const LEAST_SHARE = 1;

interface Seat {
  state: "busy" | "waiting" | "away";
  /** The mean time of one run of the job that this process visited last, in ns. */
  time: number | undefined;
  /** For each job, by its id: the plan of a visit. Undefined before calibration. */
  plans: ReadonlyMap<number, VisitPlan> | undefined;
  give: (turn: ChildTurn) => void;
  /** Resolves when this process is not busy: it waits for a turn, or its batch has ended. */
  settled: PromiseWithResolvers<void>;
}

const END: ChildTurn = { step: "end", reasons: [] };

/** The turns of one batch. */
export class Turns {
  readonly #options: TurnsOptions;
  readonly #seats: readonly [Seat, Seat] = [seat(), seat()];
  #stopped = false;
  readonly #now: () => number;
  readonly #start: number;
  #end: number;

  /** Gives no turns until {@linkcode Turns.conduct} is called. */
  constructor(options: TurnsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#start = this.#now();
    this.#end = options.end;
  }

  /** Waits for a side's next turn. */
  next(side: Side, said: WaitingChild): Promise<ChildTurn> {
    if (this.#stopped) return Promise.resolve(END);
    const own = this.#seats[side];
    const { promise, resolve } = Promise.withResolvers<ChildTurn>();
    own.give = resolve;
    own.time = said.time;
    if (said.after === "preparation") own.plans = undefined;
    else if (said.plans !== undefined) own.plans = new Map(said.plans);
    own.state = "waiting";
    own.settled.resolve();
    return promise;
  }

  /** Marks a side's batch as ended. */
  leave(side: Side): void {
    const own = this.#seats[side];
    own.state = "away";
    own.plans = undefined;
    own.settled.resolve();
  }

  /** Ends both sides' batches at once. */
  stop(): void {
    this.#stopped = true;
    for (const side of [0, 1] as const) {
      this.#give(side, END);
      this.leave(side);
    }
  }

  /** Gives turns until the batches of both processes have ended. */
  async conduct(): Promise<void> {
    let sweep = 0;
    await this.#ready();
    const ready = this.#now();
    this.#end = Math.max(this.#end, ready + LEAST_SHARE * (ready - this.#start));
    while (true) {
      await this.#ready();
      if (this.#seats.every(({ state }) => state === "away")) return;
      const reasons = new Map<number, StopReason>();
      sweep = await this.#sweep(sweep, reasons);
      for (const side of [0, 1] as const) {
        const ids = [...this.#seats[side].plans?.keys() ?? []];
        const list = ids.map((id) => [id, reasons.get(id) ?? "budget"] as const);
        this.#give(side, { step: "end", reasons: list });
      }
    }
  }

  // Sweeps until every job is precise or the sweeps or the time are used up. Records the precise
  // jobs in `reasons`, and returns the number of the next sweep.
  async #sweep(first: number, reasons: Map<number, StopReason>): Promise<number> {
    const { seed, sweeps, targetHalfWidth } = this.#options;
    const order = shuffler(seed + first);
    const quotients = new Map<number, number[]>();
    for (let sweep = first;; sweep++) {
      const count = sweep - first;
      const held = this.#seats.flatMap(({ plans }) => [...plans?.keys() ?? []]);
      const open = [...new Set(held)].filter((id) => !reasons.has(id)).sort((a, b) => a - b);
      const isOver = count >= sweeps || (count >= LEAST_SWEEPS && this.#now() >= this.#end);
      if (isOver || open.length === 0 || this.#stopped) return sweep;
      for (const id of order(open)) {
        const quotient = await this.#visitBoth(id, sweep);
        if (quotient === undefined) continue;
        const list = [...quotients.get(id) ?? [], quotient];
        quotients.set(id, list);
        const width = relativeHalfWidth(list);
        if (width !== undefined && width <= targetHalfWidth) reasons.set(id, "precise");
      }
    }
  }

  // Lets both processes visit a job. Returns the first process's time divided by the second's, or
  // undefined if either process has no time.
  async #visitBoth(id: number, sweep: number): Promise<number | undefined> {
    const times: (number | undefined)[] = [];
    for (const side of sweep % 2 === 0 ? [0, 1] as const : [1, 0] as const) {
      await this.#ready();
      const own = this.#seats[side];
      if (own.state !== "waiting" || own.plans?.has(id) !== true) continue;
      const plans = this.#seats.flatMap(({ plans }) => plans?.get(id) ?? []);
      this.#give(side, { step: "visit", id, sweep, plan: common(plans) });
      await own.settled.promise;
      // A new process that replaced a crashed one has no time yet: it must calibrate first.
      times[side] = own.state === "waiting" && own.plans !== undefined ? own.time : undefined;
    }
    const [first, second] = times;
    return first === undefined || second === undefined ? undefined : first / second;
  }

  // Waits until each process waits for a turn or has ended its batch. Before, it gives each waiting
  // process that has not calibrated yet a turn to calibrate.
  async #ready(): Promise<void> {
    while (!this.#stopped) {
      for (const { settled } of this.#seats) await settled.promise;
      if (this.#seats.some(({ state }) => state === "busy")) continue;
      const side = ([0, 1] as const).find((side) =>
        this.#seats[side].state === "waiting" && this.#seats[side].plans === undefined
      );
      if (side === undefined) return;
      this.#give(side, { step: "calibrate" });
    }
  }

  #give(side: Side, turn: ChildTurn): void {
    const own = this.#seats[side];
    if (own.state !== "waiting") return;
    own.state = "busy";
    own.settled = Promise.withResolvers();
    own.give(turn);
  }
}

function seat(): Seat {
  return {
    state: "busy",
    time: undefined,
    plans: undefined,
    give: () => {},
    settled: Promise.withResolvers(),
  };
}

// Merges both processes' plans, so a sample takes equally many runs in both: as many as the faster
// process needs. A visit takes the smaller of the two plans' numbers of samples.
function common(plans: readonly VisitPlan[]): VisitPlan {
  const most = (part: keyof VisitPlan): number => Math.max(...plans.map((plan) => plan[part]));
  return {
    repeats: most("repeats"),
    spansPerSample: most("spansPerSample"),
    samplesPerVisit: Math.min(...plans.map((plan) => plan.samplesPerVisit)),
  };
}
