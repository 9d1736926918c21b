import { Llama } from "../../src/model/llama.ts";
import { AdamW } from "../../src/model/optimizer.ts";
import { learningRate } from "../../src/model/schedule.ts";
import { StepLog } from "../../src/model/step_log.ts";
import { listParameters } from "../../src/reference/llama/parameters.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../support/assert/assert.ts";
import { onEachRuntime } from "../support/gpu.ts";
import { llamaBatch, llamaParameters, SMALL_LLAMA } from "../support/model/llama.ts";
import { type Report, Tally } from "../support/report.ts";
import type { Gpu, Tensor } from "../../mod.ts";

const config = { ...SMALL_LLAMA, layers: 2, vScale: "learned" as const };

function small(gpu: Gpu): Llama {
  const parameters = llamaParameters(config, { seed: 9 });
  return new Llama(gpu, { config, batch: 2, context: 7, parameters, kernels: "start" });
}

async function readAll(tensors: ReadonlyMap<string, Tensor>): Promise<Map<string, Float32Array>> {
  return new Map(
    await Promise.all(
      [...tensors].map(async ([name, tensor]) => [name, await tensor.read()] as const),
    ),
  );
}

onEachRuntime(
  "AdamW.step() clips by the norm of all gradients and decays matrices only",
  async (gpu): Promise<Report> => {
    const tally = new Tally();
    using model = small(gpu);
    using optimizer = new AdamW(gpu, model, { weightDecay: 0.5, maximumNorm: 0.25 });
    model.setBatch(llamaBatch(config, { batch: 2, context: 7, seed: 1 }));
    model.computeGradients();
    const [before, gradients] = [await readAll(model.parameters), await readAll(model.gradients)];
    let squares = 0;
    for (const gradient of gradients.values()) for (const g of gradient) squares += g * g;
    const norm = Math.sqrt(squares);
    assert(norm > 0.25, "nothing is clipped");
    const rate = 0.01;
    optimizer.step(rate);
    tally.normwise("norm and factor", {
      actual: await optimizer.clipping.read(),
      expected: [norm, 0.25 / norm],
      limit: 1e-6,
    });
    const after = await readAll(model.parameters);
    for (const { name, decayed } of listParameters(config)) {
      const old = before.get(name)!;
      // After one step, m / (1 − β₁) is g, and √(v / (1 − β₂)) is |g|.
      const expected = old.map((p, i) => {
        const g = gradients.get(name)![i]! * 0.25 / norm;
        return p - rate * (g / (Math.abs(g) + 1e-8)) - (decayed ? rate * 0.5 * p : 0);
      });
      const actual = after.get(name)!;
      // A tiny gradient may be mere rounding error. If it is near ε = 1e-8, the length of the step
      // depends on it. So elements with gradients below 1e-5 may be off by a whole step.
      tally.within(name, {
        actual,
        expected,
        bound: expected.map((_, i) =>
          Math.abs(gradients.get(name)![i]! * 0.25 / norm) < 1e-5 ? rate : 1e-6
        ),
      });
    }
    assertThrows(() => optimizer.step(NaN), RangeError, "learningRate is NaN");
    return tally.report("AdamW's first step", 1);
  },
);

onEachRuntime("AdamW.restore() continues with the same bits", async (gpu): Promise<Report> => {
  const tally = new Tally();
  const train = (model: Llama, optimizer: AdamW, from: number, to: number) => {
    for (let step = from; step < to; step++) {
      model.setBatch(llamaBatch(config, { batch: 2, context: 7, seed: step }));
      model.computeGradients();
      optimizer.step(learningRate(step, { peak: 0.01, warmUp: 2, steps: 6 }));
    }
  };
  using model = small(gpu);
  using optimizer = new AdamW(gpu, model);
  train(model, optimizer, 0, 3);
  const parameters = await readAll(model.parameters) as Map<string, Float32Array>;
  const moments = new Map(
    await Promise.all(
      [...optimizer.moments].map(async ([name, { first, second }]) =>
        [name, { first: await first.read(), second: await second.read() }] as const
      ),
    ),
  );
  train(model, optimizer, 3, 6);
  using other = new Llama(gpu, { config, batch: 2, context: 7, parameters, kernels: "start" });
  using resumed = new AdamW(gpu, other);
  resumed.restore({ steps: optimizer.steps - 3, moments });
  train(other, resumed, 3, 6);
  assertEquals(resumed.steps, 6);
  const expected = await readAll(model.parameters);
  for (const [name, actual] of await readAll(other.parameters)) {
    tally.sameBits(name, { actual, expected: expected.get(name)! });
  }
  moments.delete("model.norm.weight");
  assertThrows(
    () => resumed.restore({ steps: 3, moments }),
    TypeError,
    "the moments of model.norm.weight",
  );
  assertThrows(() => resumed.restore({ steps: -1, moments }), RangeError, "steps is -1");
  return tally.report("resumed training", 1);
});

onEachRuntime("AdamW.dispose() frees everything", async (gpu) => {
  using model = small(gpu);
  await gpu.sync();
  const before = gpu.memory;
  new AdamW(gpu, model).dispose();
  assertThrows(() => new AdamW(gpu, model, { beta2: 1 }), RangeError, "beta2 is 1");
  assertEquals(gpu.memory, before);
});

onEachRuntime("StepLog.read() returns every step since the last read", async (gpu) => {
  const loss = gpu.tensor([0], [1]), clipping = gpu.tensor([0, 1], [2]);
  const log = new StepLog(gpu, { loss, clipping, capacity: 3 });
  const record = (step: number) => {
    loss.write(Float32Array.of(10 + step));
    clipping.write(Float32Array.of(20 + step, 1));
    log.record(step);
  };
  const wanted = (step: number) => ({ step, loss: 10 + step, gradientNorm: 20 + step });
  assertEquals(await log.read(), []);
  for (const step of [4, 5, 6]) record(step);
  assertEquals(log.pending, 3);
  assertThrows(() => record(7), RangeError, "3 steps have not been read");
  assertEquals(await log.read(), [4, 5, 6].map(wanted));
  record(8);
  const reading = log.read();
  for (const step of [9, 10]) record(step); // while a read is in flight
  assertThrows(() => record(11), RangeError, "3 steps have not been read");
  assertEquals(await reading, [wanted(8)]);
  assertEquals(await log.read(), [9, 10].map(wanted));
  assertThrows(() => new StepLog(gpu, { loss, clipping, capacity: 0 }), RangeError, "capacity");
  log.dispose();
  await assertRejects(() => log.read(), TypeError);
  for (const tensor of [loss, clipping]) tensor.dispose();
});
