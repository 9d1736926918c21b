/** A model and its optimizer on the GPU, and a training run's steps. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Checkpoint, StoredMoments } from "../../model/checkpoint.ts";
import { Llama } from "../../model/llama.ts";
import { AdamW } from "../../model/optimizer.ts";
import { learningRate } from "../../model/schedule.ts";
import { initialParameters } from "../../reference/llama/parameters.ts";
import type { RunSettings } from "./settings.ts";
import type { Task } from "../tasks/task.ts";

/** A checkpoint without the run's own state. */
export type TrainerState = Omit<Checkpoint, "state">;

/**
 * Trains a model. Only `read` waits for the GPU; the other methods enqueue work. The same settings
 * give the same bits on one adapter.
 */
export class Trainer implements Disposable {
  readonly model: Llama;
  readonly optimizer: AdamW;
  readonly #settings: RunSettings;
  readonly #task: Task;

  /**
   * Creates a model and its optimizer on the GPU.
   *
   * @param options `from`: the state to continue from, undefined for initial values
   * @throws {RangeError} for sizes beyond the adapter's limits
   */
  constructor(gpu: Gpu, { settings, task, from }: {
    readonly settings: RunSettings;
    readonly task: Task;
    readonly from: TrainerState | undefined;
  }) {
    const { model: config, batch, accumulation, optimizer } = settings;
    this.#settings = settings;
    this.#task = task;
    this.model = new Llama(gpu, {
      config,
      batch,
      context: task.context,
      microBatches: accumulation,
      parameters: from?.parameters ?? initialParameters(config, settings),
    });
    try {
      this.optimizer = new AdamW(gpu, this.model, {
        beta1: optimizer.beta1,
        beta2: optimizer.beta2,
        epsilon: optimizer.epsilon,
        weightDecay: optimizer.weightDecay,
        maximumNorm: optimizer.clip,
      });
    } catch (error) {
      this.model.dispose();
      throw error;
    }
    if (from !== undefined) this.optimizer.restore({ steps: from.step, moments: from.moments });
  }

  /** The number of steps done. */
  get step(): number {
    return this.optimizer.steps;
  }

  /** Returns to a checkpoint's state; without a checkpoint, to the state before the first step. */
  restore(from: TrainerState | undefined): void {
    const parameters = from?.parameters ??
      initialParameters(this.model.config, this.#settings);
    for (const [name, tensor] of this.model.parameters) tensor.write(parameters.get(name)!);
    const zero = ({ length }: { readonly length: number }) => new Float32Array(length);
    const moments = from?.moments ??
      new Map(
        [...this.optimizer.moments].map(([name, { first, second }]) => [
          name,
          { first: zero(first), second: zero(second) },
        ]),
      );
    this.optimizer.restore({ steps: from?.step ?? 0, moments });
  }

  /** The learning rate of a step, counted from 0. */
  learningRate(step: number): number {
    const { optimizer, steps } = this.#settings;
    return learningRate(step, {
      peak: optimizer.learningRate,
      warmUp: optimizer.warmUpSteps,
      steps,
      floor: optimizer.finalShare,
    });
  }

  /**
   * Enqueues the forward and backward pass of the next step.
   *
   * @param options `onMicroBatch`: called whenever a micro-batch has been enqueued
   * @returns the oracle's loss on this step's data (see `Task.oracleLoss`); null without an oracle
   */
  async computeGradients(
    { onMicroBatch }: { readonly onMicroBatch?: () => void | Promise<void> } = {},
  ): Promise<number | null> {
    const { batch, accumulation } = this.#settings;
    let oracle: number | null = 0;
    for (let microBatch = 0; microBatch < accumulation; microBatch++) {
      const given = this.#task.batch(this.step * accumulation + microBatch, { batch });
      this.model.setBatch(given);
      this.model.computeGradients({ microBatch });
      await onMicroBatch?.();
      const loss = this.#task.oracleLoss(given);
      oracle = loss === undefined || oracle === null ? null : oracle + loss / accumulation;
    }
    return oracle;
  }

  update(): void {
    this.optimizer.step(this.learningRate(this.step));
  }

  /** Copies the state that training resumes from. */
  async read(): Promise<TrainerState> {
    const { config, context } = this.model;
    const values = await Promise.all(
      [...this.model.parameters].map(async ([name, tensor]) =>
        [name, await tensor.read()] as const
      ),
    );
    const moments = await Promise.all(
      [...this.optimizer.moments].map(async ([name, { first, second }]) => {
        const stored: StoredMoments = { first: await first.read(), second: await second.read() };
        return [name, stored] as const;
      }),
    );
    return {
      config,
      context,
      step: this.step,
      parameters: new Map(values),
      moments: new Map(moments),
    };
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    this.optimizer.dispose();
    this.model.dispose();
  }
}
