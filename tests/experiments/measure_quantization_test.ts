import { measureQuantization } from "../../src/experiments/measure_quantization.ts";
import type { Split, Task, TokenBatch } from "../../src/experiments/tasks/task.ts";
import { Llama } from "../../src/model/llama.ts";
import { initialValues, listParameters } from "../../src/reference/llama/parameters.ts";
import { assert, assertEquals, assertRejects } from "../support/assert/assert.ts";
import { onEachRuntime } from "../support/gpu.ts";
import { PLAIN_LLAMA } from "../../src/reference/llama/config.ts";

const config = {
  vocabulary: 9,
  layers: 1,
  modelDim: 8,
  queryHeads: 2,
  keyValueHeads: 1,
  headDim: 4,
  feedForwardDim: 12,
  ...PLAIN_LLAMA,
} as const;

const parameters = new Map(
  listParameters(config).map((parameter) => [
    parameter.name,
    initialValues(parameter, { seed: 3 }).map((value) =>
      parameter.initial === "normal" ? 30 * value : value
    ),
  ]),
);
// Only token 8 creates massive activations. For this token, one hidden unit of the MLP is hundreds
// of times as large as for other tokens.
const gate = parameters.get("model.layers.0.mlp.gate_proj.weight")!;
const up = parameters.get("model.layers.0.mlp.up_proj.weight")!;
parameters.get("model.embed_tokens.weight")!.forEach((_, i, values) => {
  if (i % 8 === 7) values[i] = Math.floor(i / 8) === 8 ? 30 : 0;
});
// Attention must not write the eighth element, so that it stays 0 for every token but token 8.
parameters.get("model.layers.0.self_attn.o_proj.weight")!.fill(0, 7 * 8, 8 * 8);
for (const weight of [gate, up]) {
  for (let unit = 0; unit < 12; unit++) weight[unit * 8 + 7] = unit === 0 ? 20 : 0;
}

/**
 * A task whose batches contain token 8 from step `massiveFrom` on. `asked` lists the steps of the
 * requested batches in order.
 */
function tokens(
  massiveFrom: number,
  wantedSplit: Split = "validation",
): { readonly task: Task; readonly asked: number[] } {
  const asked: number[] = [];
  const batch: Task["batch"] = (step, { batch, split }): TokenBatch => {
    assertEquals(split, wantedSplit);
    asked.push(step);
    const row = (shift: number) =>
      Uint32Array.from(
        { length: 6 * batch },
        (_, i) => i % 6 === 2 && step >= massiveFrom ? 8 : ((i + shift) ** 2 + step) % 8,
      );
    return { batch, context: 6, inputs: row(0), targets: row(1) };
  };
  const task: Task = {
    vocabulary: 9,
    context: 6,
    batch,
    oracleLoss: () => undefined,
    idleQueries: () => undefined,
  };
  return { task, asked };
}

onEachRuntime("measureQuantization() calibrates on other batches than it measures", async (gpu) => {
  using model = new Llama(gpu, { config, batch: 4, context: 6, parameters, kernels: "start" });
  const options = { batches: 2, calibrationBatches: 3 };
  const calm = tokens(Infinity), massive = tokens(2);
  const before = await measureQuantization(gpu, model, { task: calm.task, ...options });
  const after = await measureQuantization(gpu, model, { task: massive.task, ...options });
  // Batches 0 and 1 are measured without quantization, then in four cases. The two static cases
  // first read batches 2, 3 and 4.
  assertEquals(calm.asked, [0, 1, 2, 3, 4, 0, 1, 0, 1, 2, 3, 4, 0, 1, 0, 1]);
  const named = ({ target, scaling }: { target: string; scaling: string }) =>
    `${target} ${scaling}`;
  assertEquals(before.cases.map(named), [
    "down-projections static-tensor",
    "down-projections dynamic-token",
    "all-linears static-tensor",
    "all-linears dynamic-token",
  ]);
  // Both calls measure the same batches 0 and 1, without token 8. Token 8 occurs only in the
  // batches from which the second call takes its static scales.
  assertEquals(after.loss, before.loss);
  assertEquals(after.calibrationBatches, 3);
  [0, 1, 2, 3].forEach((i) => {
    const [one, other] = [before.cases[i]!, after.cases[i]!];
    assertEquals(one.difference, one.loss - before.loss);
    if (i % 2 === 1) assertEquals(other, one);
    else {
      // Static scales that cover massive values are too coarse for all other values.
      const [calmly, massively] = [Math.abs(one.difference), Math.abs(other.difference)];
      assert(massively > 10 * calmly, `${named(one)}: ${calmly}, ${massively}`);
    }
  });
  // Without massive values, rounding to 8 bits hardly changes the loss.
  assert(before.cases.every(({ difference }) => Math.abs(difference) < 0.05));
});

onEachRuntime("measureQuantization() measures on the batches that it is given", async (gpu) => {
  using model = new Llama(gpu, { config, batch: 4, context: 6, parameters, kernels: "start" });
  const { task, asked } = tokens(Infinity, "training");
  const options = { split: "training", firstBatch: 7, batches: 1, calibrationBatches: 1 } as const;
  await measureQuantization(gpu, model, { task, ...options });
  assertEquals(asked, [7, 8, 7, 7, 8, 7, 7]);
}, { runtimes: ["deno"] });

onEachRuntime(
  "measureQuantization() calibrates on the other split of a short text",
  async (gpu) => {
    using model = new Llama(gpu, { config, batch: 4, context: 6, parameters, kernels: "start" });
    const text = tokens(Infinity).task;
    const options = { batches: 2, calibrationBatches: 1 };
    // Two measured batches and one for calibration need 12 sequences. If validation has only 11,
    // calibration takes its batch from training.
    for (const [validation, wanted] of [[12, "validation 2"], [11, "training 0"]] as const) {
      const asked = new Set<string>();
      const task: Task = {
        ...text,
        contexts: { training: 100, validation },
        batch(step, { batch, split }) {
          asked.add(`${split} ${step}`);
          return text.batch(step, { batch, split: "validation" });
        },
      };
      await measureQuantization(gpu, model, { task, ...options });
      assertEquals(asked, new Set(["validation 0", "validation 1", wanted]));
    }
  },
  { runtimes: ["deno"] },
);

onEachRuntime("measureQuantization() refuses impossible numbers of batches", async (gpu) => {
  using model = new Llama(gpu, { config, batch: 4, context: 6, parameters, kernels: "start" });
  const { task } = tokens(9);
  for (const [name, value] of [["batches", 0], ["calibrationBatches", 1.5]] as const) {
    await assertRejects(
      () => measureQuantization(gpu, model, { task, [name]: value }),
      RangeError,
      `measureQuantization: ${name} is ${value}, wanted an integer of at least 1`,
    );
  }
}, { runtimes: ["deno"] });
