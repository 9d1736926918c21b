/** Runs training steps, and measures and saves between them. */
import type { Gpu } from "../../gpu/gpu.ts";
import { StepLog } from "../../model/step_log.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import { measureModel } from "../measure_model.ts";
import { freshBatches } from "../tasks/task.ts";
import type { MetricsRow, MetricsWriter } from "./metrics.ts";
import { findNonFinite } from "./non_finite.ts";
import { NonFiniteError } from "./error.ts";
import type { RunFolder } from "./folder.ts";
import { LOOK_UP_SECONDS, type RunProgress, type RunReporter } from "./reporter.ts";
import type { RunSettings } from "./settings.ts";
import { adapterOf, type RunState } from "./state.ts";
import type { RunTask } from "./task.ts";
import type { Trainer } from "./trainer.ts";
import { mean } from "../../statistics/mean.ts";

export interface RunHooks {
  /** When it aborts, the run saves its state and stops. */
  readonly signal?: AbortSignal | undefined;
  /** Called whenever the run makes progress. */
  readonly onProgress?: (progress: RunProgress) => void;
  /** Called with a line for the user. */
  readonly onNote?: (text: string) => void;
}

/** How a run ended. */
export interface RunResult {
  readonly status: "complete" | "interrupted";
  /** The number of steps done. */
  readonly step: number;
  readonly settings: RunSettings;
  /** The newest checkpoint's folder. */
  readonly checkpoint: string | undefined;
  /** A description of the adapter. */
  readonly adapter: string;
  /** The digest of the run's text; undefined for a task without a text. */
  readonly corpusDigest: string | undefined;
  /** All rows of the run's metrics, including those written before it was resumed. */
  readonly rows: readonly MetricsRow[];
  /** The measurement after the last step; undefined if the run was interrupted. */
  readonly measurement: SinkMeasurement | undefined;
}

/** The parts of a run. */
export interface RunParts {
  readonly gpu: Gpu;
  readonly trainer: Trainer;
  readonly folder: RunFolder;
  readonly metrics: MetricsWriter;
  readonly rows: MetricsRow[];
  readonly opened: RunTask;
  readonly state: RunState | undefined;
  readonly report: RunReporter;
  readonly hooks: RunHooks;
}

/** A run in progress. */
export class RunLoop {
  readonly #parts: RunParts;
  readonly #settings: RunSettings;
  readonly #adapter: string;
  /**
   * The losses of the model and of the oracle in the steps since the last row of metrics, as far as
   * the CPU has read them. The oracle's losses are null if the task has no oracle (see
   * `Task.oracleLoss`).
   */
  #pending: { losses: number[]; oracle: (number | null)[] };
  /** The oracle's losses in later steps, for which the CPU has not read the model's losses yet. */
  #unread: (number | null)[] = [];
  #gradientNorm = 0;
  #measurement: SinkMeasurement | undefined;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#settings = parts.folder.settings;
    this.#adapter = adapterOf(parts.gpu.info);
    this.#pending = {
      losses: [...parts.state?.losses ?? []],
      oracle: [...parts.state?.oracleLosses ?? []],
    };
  }

  /** Trains to the last step, or until the run is interrupted; measures and saves on the way. */
  async go(): Promise<RunResult> {
    const { trainer, folder, rows, opened } = this.#parts;
    const { steps, reporting } = this.#settings;
    const every = (interval: number) => interval > 0 && trainer.step % interval === 0;
    if (trainer.step === 0 && reporting.measureEvery > 0) await this.#measure();
    await this.#train(async () => {
      const last = trainer.step === steps;
      if (last || every(reporting.measureEvery)) await this.#measure();
      if (last || every(reporting.checkpointEvery)) await this.#save();
    });
    const complete = trainer.step === steps;
    if (complete) await this.#measure();
    else await this.#save();
    return {
      status: complete ? "complete" : "interrupted",
      step: trainer.step,
      settings: this.#settings,
      checkpoint: (await folder.newest())?.path,
      adapter: this.#adapter,
      corpusDigest: opened.corpusDigest,
      rows,
      measurement: complete ? this.#measurement : undefined,
    };
  }

  async #train(afterStep: () => Promise<void>): Promise<void> {
    const { gpu, trainer, report, hooks } = this.#parts;
    const { steps, reporting } = this.#settings;
    const { lossEvery } = reporting;
    using log = new StepLog(gpu, {
      loss: trainer.model.meanLoss,
      clipping: trainer.optimizer.clipping,
      capacity: lossEvery,
    });
    report.start("training");
    let enqueued = 0;
    while (trainer.step < steps && hooks.signal?.aborted !== true) {
      this.#unread.push(await trainer.computeGradients());
      trainer.update();
      log.record(trainer.step - 1);
      enqueued++;
      const row = trainer.step % lossEvery === 0 || trainer.step === steps;
      const due = row || this.#isDue();
      if (due) {
        await this.#read(log);
        report.count(trainer.step);
        if (row) await this.#writeRow();
        await afterStep();
        report.start("training");
        enqueued = 0;
      } else if (enqueued * report.secondsPerStep >= LOOK_UP_SECONDS) {
        await gpu.sync();
        report.count(trainer.step);
        enqueued = 0;
      }
    }
    await this.#read(log);
    report.count(trainer.step);
  }

  /** Whether a measurement or checkpoint follows now. */
  #isDue(): boolean {
    const { trainer } = this.#parts;
    const { measureEvery, checkpointEvery } = this.#settings.reporting;
    return [measureEvery, checkpointEvery].some((every) => every > 0 && trainer.step % every === 0);
  }

  async #read(log: StepLog): Promise<void> {
    if (log.pending === 0) return;
    const records = await log.read();
    const bad = records.find(({ loss, gradientNorm }) => !Number.isFinite(loss + gradientNorm));
    if (bad !== undefined) return await this.#stopAt(bad.step);
    this.#pending.losses.push(...records.map(({ loss }) => loss));
    this.#pending.oracle.push(...this.#unread.splice(0));
    this.#gradientNorm = records.at(-1)!.gradientNorm;
  }

  async #writeRow(): Promise<void> {
    const { trainer, report } = this.#parts;
    const { losses, oracle } = this.#pending;
    this.#pending = { losses: [], oracle: [] };
    const loss = mean(losses);
    const oracleLoss = oracle.includes(null) ? null : mean(oracle as number[]);
    const { tokensPerSecond = 0 } = report;
    report.row(loss, oracleLoss);
    await this.#add({
      kind: "training",
      step: trainer.step,
      loss,
      oracleLoss,
      gradientNorm: this.#gradientNorm,
      learningRate: trainer.learningRate(trainer.step - 1),
      tokensPerSecond,
    });
  }

  async #add(row: MetricsRow): Promise<void> {
    const { metrics, rows } = this.#parts;
    await metrics.add(row);
    rows.push(row);
  }

  /** Measures the model once per step. */
  async #measure(): Promise<void> {
    const { trainer, folder, opened, report, rows } = this.#parts;
    const { step } = trainer;
    const known = rows.find((row) => row.kind === "measurement" && row.step === step);
    if (known?.kind === "measurement") {
      this.#measurement = known.measurement;
      return;
    }
    report.start("measuring");
    const { seed, task, steps, batch, reporting } = this.#settings;
    const last = step === steps;
    const wanted = last
      ? reporting.finalBatches ?? reporting.measureBatches
      : reporting.measureBatches;
    const run = folder.path.split(/[/\\]/).filter((part) => part !== "").at(-1) ?? folder.path;
    try {
      this.#measurement = await measureModel(trainer.model, {
        task: opened.task,
        batches: freshBatches(opened.task, { batch, batches: wanted }),
        intervals: last,
        source: { run, step, task: task.name, seed },
      });
    } catch (error) {
      // A RangeError means that a loss, state or gradient is not finite.
      if (!(error instanceof RangeError)) throw error;
      const tensor = `on validation sequences, ${error.message.replace(/^sinks: /, "")}`;
      throw new NonFiniteError({ step, tensor, checkpoint: (await folder.newest())?.path });
    }
    await this.#add({ kind: "measurement", step, measurement: this.#measurement });
  }

  async #save(): Promise<void> {
    const { gpu, trainer, folder, metrics, opened, report } = this.#parts;
    if (trainer.step === 0 || (await folder.newest())?.step === trainer.step) return;
    report.start("saving");
    const state = await trainer.read();
    const finite = [...state.parameters.values()].every((values) => values.every(Number.isFinite));
    // The last loss was finite, but the step's update made a parameter NaN or infinite.
    if (!finite) return await this.#stopAt(trainer.step);
    await metrics.flush();
    const run: RunState = {
      losses: this.#pending.losses,
      oracleLosses: this.#pending.oracle,
      adapter: this.#adapter,
      variants: Object.fromEntries(gpu.variants),
      corpusDigest: opened.corpusDigest ?? null,
    };
    await folder.save({ ...state, state: run });
  }

  /** Throws an error that names the first tensor with a NaN or infinity. */
  async #stopAt(step: number): Promise<never> {
    const { trainer, folder, hooks } = this.#parts;
    hooks.onNote?.(`step ${step + 1} is not finite; repeating it to find the tensor`);
    const newest = await folder.newest();
    const from = newest === undefined ? undefined : await folder.load();
    const tensor = await findNonFinite(trainer, { from, step });
    throw new NonFiniteError({ step: step + 1, tensor, checkpoint: newest?.path });
  }
}
