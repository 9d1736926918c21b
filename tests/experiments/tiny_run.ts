/**
 * For tests: settings of a run that takes a second. As a program, `tiny_run.ts FOLDER` trains or
 * resumes it.
 */
import { RUN_SCHEMA, type RunSettings } from "../../src/experiments/run/settings.ts";
import { trainRun } from "../../src/experiments/run.ts";
import { PLAIN_LLAMA } from "../../src/reference/llama/config.ts";

/** A run with two layers, learned V-scale, and gradients accumulated over two batches per step. */
export const TINY_RUN: RunSettings = {
  schema: RUN_SCHEMA,
  preset: "tiny",
  seed: 3,
  steps: 36,
  batch: 2,
  accumulation: 2,
  model: {
    vocabulary: 13,
    layers: 2,
    modelDim: 8,
    queryHeads: 2,
    keyValueHeads: 1,
    headDim: 4,
    feedForwardDim: 12,
    ...PLAIN_LLAMA,
    ropeBase: 100,
    vScale: "learned",
  },
  task: {
    name: "bigram-backcopy",
    context: 10,
    characters: 12,
    triggers: 2,
    concentration: 3,
    tableSeed: 1,
  },
  optimizer: {
    learningRate: 1e-2,
    finalShare: 0.1,
    warmUpSteps: 4,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0.01,
    clip: 1,
  },
  // Losses are reported every 5 steps, so most checkpoints also save unreported losses.
  reporting: {
    lossEvery: 5,
    measureEvery: 12,
    measureBatches: 1,
    checkpointEvery: 4,
    keepCheckpoints: 2,
  },
};

if (import.meta.main) {
  await trainRun({ folder: Deno.args[0]!, settings: TINY_RUN, resume: "if-there" }, {
    onProgress: ({ step, activity }) => console.log(`${activity} ${step}`),
  });
  console.log("finished");
}
