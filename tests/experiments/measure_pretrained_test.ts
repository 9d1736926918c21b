import { measurePretrained } from "../../src/experiments/measure_pretrained.ts";
import type { Task } from "../../src/experiments/tasks/task.ts";
import { openWeights } from "../../src/model/pretrained/weights.ts";
import { llamaGradients } from "../../src/reference/llama.ts";
import { SinkMeter } from "../../src/sinks/meter.ts";
import { assert, assertEquals, assertRejects } from "../support/assert/assert.ts";
import { onEachRuntime } from "../support/gpu.ts";
import { llamaBatch } from "../support/model/llama.ts";
import { familyFolder } from "../support/pretrained/families.ts";

const [BATCH, CONTEXT] = [2, 12];

function textsOf(vocabulary: number): Task {
  return {
    vocabulary,
    context: CONTEXT,
    batch: (step, { batch }) =>
      llamaBatch({ vocabulary }, { batch, context: CONTEXT, seed: 10 + step }) as ReturnType<
        Task["batch"]
      >,
    oracleLoss: () => undefined,
    idleQueries: () => undefined,
  };
}

onEachRuntime("measurePretrained() agrees with the twin's measurements: qwen3", async (gpu) => {
  using source = await openWeights(familyFolder("qwen3"));
  const { config } = source.architecture;
  const task = textsOf(config.vocabulary);
  const settings = { window: 6, lastGradientPosition: 7 };
  const steps: Record<string, number[]> = {};
  const { sinks, pretrained } = await measurePretrained(gpu, {
    source,
    batch: BATCH,
    kernels: "start",
    task,
    batches: 2,
    settings,
    onProgress: (done, total, text) => {
      assert(done <= total, `${done} of ${total} ${text}`);
      (steps[text] ??= []).push(total);
    },
  });
  assertEquals(steps, {
    "layers, forward and back": new Array(12).fill(12),
    "layers with INT8 activations": new Array(24).fill(24),
  });
  assertEquals(pretrained.interventions, []);
  const parameters = new Map<string, Float64Array>();
  for (const name of source.shapes.keys()) {
    parameters.set(name, Float64Array.from(await source.read(name)));
  }
  const meter = new SinkMeter({ config, context: CONTEXT, settings });
  const losses: number[] = [];
  for (let step = 0; step < 2; step++) {
    const batch = task.batch(step, { batch: BATCH });
    const { loss, trace } = llamaGradients({ config, parameters, batch });
    meter.add(trace, { loss });
    losses.push(loss);
  }
  const wanted = meter.result();
  const close = (what: string, found: number | null | undefined, expected: number | null) => {
    // tests/model/streamed_test.ts allows 1e-5 for float32's rounding through three layers. A ratio
    // of two such numbers is allowed twice as much.
    const distance = Math.abs(found! - expected!) / Math.abs(expected!);
    assert(distance < 2e-5, `${what}: ${found} against ${expected}`);
  };
  close("loss", sinks.loss, wanted.loss);
  close("R_GS", sinks.summary.gradientSink!.median, wanted.summary.gradientSink!.median);
  sinks.layers.forEach((layer, index) => {
    const other = wanted.layers[index]!;
    close(`layer ${index} ‖h_out‖`, layer.output.sink, other.output.sink);
    close(`layer ${index} Bloat`, layer.mlp.branch.bloat?.sink, other.mlp.branch.bloat!.sink);
    close(
      `layer ${index} score`,
      layer.attention!.heads[1]!.score,
      other.attention!.heads[1]!.score,
    );
  });
  assertEquals(sinks.theory?.errors, []);
  assert(sinks.theory!.checks.length > 5, "hardly anything of the theory was checked");
  assertEquals(pretrained.layers.length, config.layers);
  assertEquals(pretrained.losses.length, 2 * BATCH);
  const mean = pretrained.losses.reduce((sum, loss) => sum + loss, 0) / pretrained.losses.length;
  close("mean of the texts' losses", mean, wanted.loss);
}, { permissions: ["read"] });

onEachRuntime("measurePretrained() refuses texts that are not the model's", async (gpu) => {
  using source = await openWeights(familyFolder("qwen3"));
  const options = { source, batch: 1, kernels: "start" } as const;
  await assertRejects(
    () => measurePretrained(gpu, { ...options, task: textsOf(34), batches: 1 }),
    TypeError,
    "the task has 34 tokens, wanted the model's 33",
  );
  await assertRejects(
    () => measurePretrained(gpu, { ...options, task: textsOf(33), batches: 0 }),
    RangeError,
    "batches is 0, wanted an integer of at least 1",
  );
}, { runtimes: ["deno"], permissions: ["read"] });
