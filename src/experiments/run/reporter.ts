/** How far and how fast a run is. */
import type { RunSettings } from "./settings.ts";

/** Where a run stands. */
export interface RunProgress {
  /** Steps done. */
  readonly step: number;
  readonly steps: number;
  readonly activity: "preparing" | "training" | "measuring" | "saving";
  /** Of the last steps that were looked at, in nats per token; undefined before. */
  readonly loss: number | undefined;
  /** The oracle's on the same steps; undefined where nobody knows it. */
  readonly oracleLoss: number | undefined;
  readonly tokensPerSecond: number | undefined;
  /** For the steps that are left, measuring and saving counted in; undefined while nothing is known. */
  readonly secondsLeft: number | undefined;
}

/** How much work may be enqueued before the run looks up, in seconds: so soon a Ctrl-C is heard. */
export const LOOK_UP_SECONDS = 1;

/** Knows how fast the run is. */
export class RunReporter {
  readonly #settings: RunSettings;
  readonly #onProgress: ((progress: RunProgress) => void) | undefined;
  readonly #begun = performance.now();
  readonly #from: number;
  #step: number;
  #activity: RunProgress["activity"] = "preparing";
  #since = performance.now();
  /** Of training alone, since the last row. */
  #seconds = 0;
  #rowStep: number;
  #pace = 0;
  #loss: number | undefined;
  #oracleLoss: number | undefined;
  /** The first step compiles. */
  #compiled: { readonly step: number; readonly at: number } | undefined;

  /**
   * @param settings of the run
   * @param options the step that it goes on from, and who listens
   */
  constructor(
    settings: RunSettings,
    { from, onProgress }: {
      readonly from: number;
      readonly onProgress: ((progress: RunProgress) => void) | undefined;
    },
  ) {
    this.#settings = settings;
    this.#onProgress = onProgress;
    this.#from = from;
    this.#step = from;
    this.#rowStep = from;
  }

  /** Since the last row; long enough while nothing is known, so that the first step is waited for. */
  get secondsPerStep(): number {
    return this.#pace === 0 ? LOOK_UP_SECONDS : this.#pace;
  }

  /** Since the last row, of training alone; undefined while nothing is known. */
  get tokensPerSecond(): number | undefined {
    const { batch, accumulation, task } = this.#settings;
    return this.#pace === 0 ? undefined : batch * accumulation * task.context / this.#pace;
  }

  /** Something else is done from now on. */
  start(activity: RunProgress["activity"]): void {
    this.#lap();
    this.#activity = activity;
    if (activity !== "training") this.show(activity);
  }

  /** So many steps are done, and have been waited for. */
  count(step: number): void {
    this.#lap();
    this.#step = step;
    this.#compiled ??= { step, at: performance.now() };
    if (step > this.#rowStep && this.#seconds > 0) {
      this.#pace = this.#seconds / (step - this.#rowStep);
    }
    this.show("training");
  }

  /** What the last row said. */
  row(loss: number, oracleLoss: number | null): void {
    this.#loss = loss;
    this.#oracleLoss = oracleLoss ?? undefined;
    this.#rowStep = this.#step;
    this.#seconds = 0;
    this.show("training");
  }

  /** Tells where the run stands. */
  show(activity: RunProgress["activity"]): void {
    this.#onProgress?.({
      step: this.#step,
      steps: this.#settings.steps,
      activity,
      loss: this.#loss,
      oracleLoss: this.#oracleLoss,
      tokensPerSecond: this.tokensPerSecond,
      secondsLeft: this.#secondsLeft(),
    });
  }

  #lap(): void {
    const now = performance.now();
    if (this.#activity === "training") this.#seconds += (now - this.#since) / 1000;
    this.#since = now;
  }

  #secondsLeft(): number | undefined {
    const start = this.#compiled ?? { step: this.#from, at: this.#begun };
    const done = this.#step - start.step;
    if (done <= 0) return undefined;
    const seconds = (performance.now() - start.at) / 1000;
    return seconds / done * (this.#settings.steps - this.#step);
  }
}
