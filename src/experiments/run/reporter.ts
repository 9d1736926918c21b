/** A run's progress and speed. */
import type { RunSettings } from "./settings.ts";

/** A run's progress. */
export interface RunProgress {
  /** The number of steps done. */
  readonly step: number;
  readonly steps: number;
  readonly activity: "preparing" | "training" | "measuring" | "saving";
  /** In nats per token; undefined before the first row. */
  readonly loss: number | undefined;
  /** The oracle's loss (see `Task.oracleLoss`), if any. */
  readonly oracleLoss: number | undefined;
  readonly tokensPerSecond: number | undefined;
  /** The estimated time to the run's end, with measuring and saving; undefined while unknown. */
  readonly secondsLeft: number | undefined;
}

/**
 * Training waits for the GPU whenever it has enqueued about this many seconds of work. So a run
 * heeds Ctrl-C after about as long.
 */
export const LOOK_UP_SECONDS = 1;

/** Measures a run's speed, and reports its progress. */
export class RunReporter {
  readonly #settings: RunSettings;
  readonly #onProgress: ((progress: RunProgress) => void) | undefined;
  readonly #begun = performance.now();
  readonly #from: number;
  #step: number;
  #activity: RunProgress["activity"] = "preparing";
  #since = performance.now();
  /** Seconds spent on training since the last row of metrics. */
  #seconds = 0;
  #rowStep: number;
  #pace = 0;
  #loss: number | undefined;
  #oracleLoss: number | undefined;
  /**
   * When the GPU had finished this process's first step. The time left is estimated from later
   * steps, because the first one also compiles the kernels.
   */
  #compiled: { readonly step: number; readonly at: number } | undefined;

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

  /**
   * Seconds of training per step, as last measured. {@linkcode LOOK_UP_SECONDS} while unknown, so
   * the loop waits for the GPU after the first step.
   */
  get secondsPerStep(): number {
    return this.#pace === 0 ? LOOK_UP_SECONDS : this.#pace;
  }

  /** Tokens per second of training, as last measured; undefined while unknown. */
  get tokensPerSecond(): number | undefined {
    const { batch, accumulation, task } = this.#settings;
    return this.#pace === 0 ? undefined : batch * accumulation * task.context / this.#pace;
  }

  /** Marks the start of an activity, and reports it unless it is training. */
  start(activity: RunProgress["activity"]): void {
    this.#lap();
    this.#activity = activity;
    if (activity !== "training") this.show(activity);
  }

  /** Records that the GPU has finished the first `step` steps, and reports the progress. */
  count(step: number): void {
    this.#lap();
    this.#step = step;
    this.#compiled ??= { step, at: performance.now() };
    if (step > this.#rowStep && this.#seconds > 0) {
      this.#pace = this.#seconds / (step - this.#rowStep);
    }
    this.show("training");
  }

  /** Reports the losses of a new row. */
  row(loss: number, oracleLoss: number | null): void {
    this.#loss = loss;
    this.#oracleLoss = oracleLoss ?? undefined;
    this.#rowStep = this.#step;
    this.#seconds = 0;
    this.show("training");
  }

  /** Reports the run's progress. */
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
