/** A run of a small model with random weights, for tests of `deno task sinks`. */
import { RunFolder } from "../../../src/experiments/run/folder.ts";
import { RUN_SCHEMA, type RunSettings } from "../../../src/experiments/run/settings.ts";
import { initialValues, listParameters } from "../../../src/reference/llama/parameters.ts";
import { PLAIN_LLAMA } from "../../../src/reference/llama/config.ts";

/** The settings of a run. */
export const settings: RunSettings = {
  schema: RUN_SCHEMA,
  preset: "test",
  seed: 1,
  steps: 20,
  batch: 2,
  accumulation: 1,
  model: {
    vocabulary: 9,
    layers: 1,
    modelDim: 8,
    queryHeads: 2,
    keyValueHeads: 1,
    headDim: 4,
    feedForwardDim: 12,
    ...PLAIN_LLAMA,
  },
  task: {
    name: "bigram-backcopy",
    context: 12,
    characters: 8,
    triggers: 2,
    concentration: 3,
    tableSeed: 1,
  },
  optimizer: {
    learningRate: 1e-3,
    finalShare: 0.1,
    warmUpSteps: 1,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0.1,
    clip: 1,
  },
  reporting: {
    lossEvery: 1,
    measureEvery: 0,
    measureBatches: 1,
    checkpointEvery: 1,
    keepCheckpoints: 9,
  },
};

/** The parameters that {@linkcode makeRun} saves at a step. */
export function randomParameters(
  run: RunSettings,
  step: number,
): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(
    listParameters(run.model).map((parameter) => [
      parameter.name,
      initialValues(parameter, { seed: step }).map((value) =>
        parameter.initial === "normal" ? 20 * value : value
      ),
    ]),
  );
}

/** Writes a run with checkpoints of these steps and random weights, as a trainer would. */
export async function makeRun(
  folder: string,
  steps: readonly number[],
  run = settings,
): Promise<void> {
  using opened = await RunFolder.create(folder, run);
  for (const step of steps) {
    const parameters = randomParameters(run, step);
    const zeros = [...parameters].map(([name, values]) => {
      const zero = new Float32Array(values.length);
      return [name, { first: zero, second: zero }] as const;
    });
    await opened.save({
      config: run.model,
      context: run.task.context,
      parameters,
      moments: new Map(zeros),
      step,
      state: null,
    });
  }
}
