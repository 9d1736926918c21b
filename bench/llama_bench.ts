/**
 * Compares a training step of the study's models with the sum of its kernels' times, each kernel
 * timed alone. The difference is what the step loses between kernels.
 *
 * Run with `deno bench bench/llama_bench.ts`; a table of the kernels follows. A step's wall time
 * and CPU time (which other programs disturb less) cover uploads, forward, backward and optimizer.
 * As in training, several steps follow one another without waits.
 */
import process from "node:process";
import { defaultScale, studyRunSettings } from "../src/experiments/study/settings.ts";
import { openGpu } from "../src/gpu/open_gpu.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { GpuTimer } from "../src/measure/timing.ts";
import { Llama } from "../src/model/llama.ts";
import { trainingMemory } from "../src/model/llama/memory.ts";
import { AdamW } from "../src/model/optimizer.ts";
import type { LlamaConfig } from "../src/reference/llama/config.ts";
import { initialParameters } from "../src/reference/llama/parameters.ts";
import { formatDuration, formatFactor, formatRate, formatShare } from "../src/report/format.ts";
import { formatTerminalTable, numberColumns } from "../src/report/table.ts";

/** Consecutive steps per sample. */
const STEPS = 4;
/** The most plans to time in one submission. */
const SPANS = 32;

interface Size {
  readonly name: string;
  readonly batch: number;
  readonly context: number;
  readonly config: LlamaConfig;
}

/** The study's settings, each with its baseline model, which has no V-scale. */
const sizes = (["shallow", "deep", "text-anchored"] as const).map((setting): Size => {
  // Texts do not influence a step's time, so none is read.
  const scale = { ...defaultScale([setting]), corpus: "" };
  const { model, batch, task } = studyRunSettings({ setting, variant: "none", seed: 1 }, scale);
  const { layers, modelDim } = model;
  const name = `${setting}: L${layers} d${modelDim}, ${batch} × ${task.context} tokens`;
  return { name, batch, context: task.context, config: model };
});

/** One model in training. */
class Training {
  readonly size: Size;
  readonly model: Llama;
  readonly optimizer: AdamW;
  /** ns per step. */
  readonly steps: number[] = [];
  /** ns of CPU time per step. */
  readonly cpu: number[] = [];
  /** A list per call of `profile`, with the time in ns of each plan of a step. */
  readonly plans: number[][] = [];
  readonly #gpu: Gpu;
  readonly #timer: GpuTimer;
  readonly #batch: { readonly inputs: Uint32Array; readonly targets: Uint32Array };

  constructor(gpu: Gpu, timer: GpuTimer, size: Size) {
    const { config, batch, context } = size;
    const parameters = initialParameters(config, { seed: 1 });
    this.#gpu = gpu;
    this.#timer = timer;
    this.size = size;
    this.model = new Llama(gpu, { config, batch, context, parameters });
    this.optimizer = new AdamW(gpu, this.model);
    const inputs = Uint32Array.from(
      { length: batch * context },
      (_, i) => (7 * i + (i >> 3)) % config.vocabulary,
    );
    this.#batch = { inputs, targets: inputs.map((_, i) => inputs[(i + 1) % inputs.length]!) };
  }

  /** Trains STEPS steps and waits until the GPU is done. Returns ns per step. */
  async step(): Promise<number> {
    const begin = performance.now();
    const cpu = process.cpuUsage();
    for (let step = 0; step < STEPS; step++) {
      this.model.setBatch(this.#batch);
      this.model.computeGradients();
      this.optimizer.step(1e-4);
    }
    // In Deno the call itself waits for the GPU, and awaiting its promise would sleep 10 ms more.
    // In other runtimes the call returns at once, and the promise waits for the GPU.
    const done = this.#gpu.device.queue.onSubmittedWorkDone();
    let end = performance.now();
    await done;
    if (this.#gpu.info.runtime !== "deno") end = performance.now();
    const { user, system } = process.cpuUsage(cpu);
    this.cpu.push((user + system) * 1e3 / STEPS);
    return (end - begin) * 1e6 / STEPS;
  }

  /** Times each kernel alone. */
  async profile(): Promise<void> {
    const plans = [...this.model.plans, ...this.optimizer.plans];
    const times: number[] = [];
    for (let first = 0; first < plans.length; first += SPANS) {
      const spans = plans.slice(first, first + SPANS)
        .map((plan) => (pass: GPUComputePassEncoder) => plan.encode(pass));
      const result = await this.#timer.time(spans);
      times.push(...result.spans.map((time) => time ?? 0));
    }
    this.plans.push(times);
  }

  /**
   * The least times of a step and of its kernels, as lines for a terminal. The least time is the
   * best estimate, because other work on the machine can only add to it.
   */
  table(color: boolean): string {
    const plans = [...this.model.plans, ...this.optimizer.plans];
    const groups = new Map<string, { time: number; flops: number; count: number }>();
    plans.forEach(({ operator, cost }, i) => {
      const group = groups.get(operator) ?? { time: 0, flops: 0, count: 0 };
      group.time += Math.min(...this.plans.map((times) => times[i]!));
      group.flops += cost.flops;
      group.count++;
      groups.set(operator, group);
    });
    const kernels = [...groups.values()].reduce((sum, { time }) => sum + time, 0);
    const step = Math.min(...this.steps);
    const { batch, context, config, name } = this.size;
    const memory = trainingMemory(config, { batch, context }).total;
    const tokens = batch * context / step * 1e9;
    const rows = [...groups].sort(([, a], [, b]) => b.time - a.time).map((
      [operator, { time, flops, count }],
    ) => [
      operator,
      String(count),
      formatDuration(time),
      formatShare(time / kernels),
      formatRate(flops / time * 1e9, "FLOP/s"),
    ]);
    return formatTerminalTable({
      caption:
        `${name}: a step takes ${formatDuration(step)} (${formatRate(tokens, "token/s")}), ` +
        `${formatDuration(Math.min(...this.cpu))} of CPU time, ` +
        `${formatFactor(step / kernels)} of its kernels' ` +
        `${formatDuration(kernels)}; ${(memory / 1e6).toFixed(1)} MB`,
      columns: [
        { title: "operator" },
        ...numberColumns("calls", "time", "share", "arithmetic"),
      ],
      rows,
    }, { color });
  }
}

const gpu = await openGpu();
const timer = await GpuTimer.open(gpu, { clocks: { wall: () => performance.now() * 1e6 } });
const trainings = sizes.map((size) => new Training(gpu, timer, size));
for (const training of trainings) {
  await training.step(); // compiles
  training.cpu.pop();
  Deno.bench({
    name: `${STEPS} training steps, ${training.size.name}`,
    n: 6,
    async fn(b: Deno.BenchContext): Promise<void> {
      await training.profile();
      b.start();
      training.steps.push(await training.step());
      b.end();
    },
  });
}

addEventListener("unload", () => {
  const color = Deno.stderr.isTerminal();
  for (const training of trainings) {
    if (training.steps.length === 0) continue;
    Deno.stderr.writeSync(new TextEncoder().encode(`\n${training.table(color)}`));
  }
  timer.dispose();
  gpu.dispose();
});
