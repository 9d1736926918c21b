/**
 * The GPU's model: passes that leave state unchanged, accumulated gradients, errors.
 * llama_twin_test.ts checks the numbers.
 */
import type { Gpu } from "../../mod.ts";
import { Llama } from "../../src/model/llama.ts";
import type { LlamaOptions } from "../../src/model/llama/build.ts";
import { headChunkRows } from "../../src/model/llama/head.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { onEachRuntime, siblingGpu } from "../support/gpu.ts";
import { llamaBatch, llamaParameters, SMALL_LLAMA } from "../support/model/llama.ts";
import { type Report, Tally } from "../support/report.ts";

const config = { ...SMALL_LLAMA, vScale: "learned" as const, tiedHead: true };
const parameters = llamaParameters(config, { seed: 5 });

function small(gpu: Gpu, options: Partial<LlamaOptions> = {}): Llama {
  return new Llama(gpu, { config, batch: 2, context: 9, parameters, kernels: "start", ...options });
}

/** The gradients of all parameters, one after the other. */
async function gradients(model: Llama): Promise<Float32Array> {
  const read = await Promise.all([...model.gradients.values()].map((tensor) => tensor.read()));
  return Float32Array.from(read.flatMap((numbers) => [...numbers]));
}

onEachRuntime(
  "Llama has the same bits on every run, and evaluates without touching gradients",
  async (gpu) => {
    const tally = new Tally();
    using model = small(gpu);
    const [first, second] = [1, 2].map((seed) =>
      llamaBatch(config, { batch: 2, context: 9, seed })
    );
    model.setBatch(first!);
    model.computeGradients();
    const once = await gradients(model);
    const loss = await model.meanLoss.read();
    const losses = await model.tokenLosses.read();
    model.setBatch(second!);
    model.evaluate();
    tally.sameBits("gradients after evaluate()", {
      actual: await gradients(model),
      expected: once,
    });
    const other = await model.tokenLosses.read();
    assert(losses.some((x, i) => x !== other[i]), "the second batch has the first one's losses");
    model.setBatch(first!);
    model.evaluate();
    tally.sameBits("the loss by evaluate()", {
      actual: await model.evaluationLoss.read(),
      expected: loss,
    });
    tally.sameBits("the tokens' losses", {
      actual: await model.tokenLosses.read(),
      expected: losses,
    });
    model.computeGradients();
    tally.sameBits("gradients, again", { actual: await gradients(model), expected: once });
    return tally.report("the same bits", 4);
  },
);

onEachRuntime(
  "Llama.computeGradients() adds up the micro-batches' gradients",
  async (gpu): Promise<Report> => {
    const tally = new Tally();
    const all = llamaBatch(config, { batch: 4, context: 9, seed: 7 });
    using whole = small(gpu, { batch: 4 });
    whole.setBatch(all);
    whole.computeGradients();
    using parts = small(gpu, { microBatches: 2 });
    for (let run = 0; run < 2; run++) { // the second run starts from zero again
      for (let microBatch = 0; microBatch < 2; microBatch++) {
        const own = (numbers: Uint32Array) => numbers.slice(18 * microBatch, 18 * microBatch + 18);
        parts.setBatch({ inputs: own(all.inputs), targets: own(all.targets) });
        parts.computeGradients({ microBatch });
      }
    }
    // Both models add up the same terms, some hundred per gradient, but in another order. So the
    // limit is that of llama_twin_test.ts.
    for (const [name, gradient] of whole.gradients) {
      tally.normwise(`gradient of ${name}`, {
        actual: await parts.gradients.get(name)!.read(),
        expected: await gradient.read(),
        limit: 1e-5,
      });
    }
    tally.normwise("mean loss", {
      actual: await parts.meanLoss.read(),
      expected: await whole.meanLoss.read(),
      limit: 1e-6,
    });
    assertThrows(() => parts.computeGradients({ microBatch: 2 }), RangeError, "from 0 to 1");
    return tally.report("micro-batches", 1);
  },
);

onEachRuntime(
  "Llama processes the logits in chunks if they exceed a buffer",
  async (gpu): Promise<Report> => {
    const tally = new Tally();
    const vocabulary = 200;
    for (const tiedHead of [true, false]) {
      const large = { ...config, vocabulary, tiedHead };
      const options = { config: large, parameters: llamaParameters(large, { seed: 2 }) };
      const batch = llamaBatch(large, { batch: 2, context: 9, seed: 4 });
      // 12,000 bytes hold 15 rows of logits. So the 18 rows of 2 sequences run in chunks of 9, the
      // largest divisor of 18 that fits. The embedding table fits, too: it takes 9,600 bytes.
      const narrow = siblingGpu(gpu, { limits: { maxStorageBufferBindingSize: 12_000 } });
      // The device is the same, so its compiled pipelines can be reused.
      Object.defineProperty(narrow, "pipelines", { value: gpu.pipelines });
      assertEquals(headChunkRows(narrow, 18, vocabulary), 9);
      using whole = small(gpu, options);
      using chunked = small(narrow, options);
      for (const model of [whole, chunked]) {
        model.setBatch(batch);
        model.computeGradients();
      }
      tally.sameBits("tokens' losses", {
        actual: await chunked.tokenLosses.read(),
        expected: await whole.tokenLosses.read(),
      });
      for (const [name, gradient] of whole.gradients) {
        // Only the head's gradient adds in another order: each of two chunks has its own sum.
        tally.normwise(`gradient of ${name}`, {
          actual: await chunked.gradients.get(name)!.read(),
          expected: await gradient.read(),
          limit: 2e-6,
        });
      }
      chunked.evaluate();
      tally.sameBits("the loss by evaluate()", {
        actual: await chunked.evaluationLoss.read(),
        expected: await whole.meanLoss.read(),
      });
      await narrow.sync();
    }
    return tally.report("chunks of logits", 2);
  },
);

onEachRuntime("Llama.dispose() and a failed constructor free everything", async (gpu) => {
  await gpu.sync();
  const before = gpu.memory;
  const model = small(gpu, { microBatches: 2 });
  assert(gpu.memory.bytes > before.bytes);
  model.dispose();
  model.dispose();
  assertEquals(gpu.memory, before);
  // The head's matrix fits into a binding of 3,000 bytes. The MLP's states of 9 sequences do not.
  const narrow = siblingGpu(gpu, { limits: { maxStorageBufferBindingSize: 3000 } });
  assertThrows(() => small(narrow, { batch: 9 }), RangeError);
  assertEquals(narrow.memory.buffers, 0);
});

onEachRuntime("Llama refuses invalid parameters and batches before any work", (gpu) => {
  const before = gpu.memory;
  const without = new Map(parameters);
  without.delete("model.norm.weight");
  const short = new Map(parameters).set("model.norm.weight", new Float32Array(3));
  const foreign = new Map(parameters).set("lm_head.weight", new Float32Array(132));
  assertThrows(() => small(gpu, { parameters: without }), TypeError, "model.norm.weight");
  assertThrows(() => small(gpu, { parameters: short }), TypeError, "wanted a Float32Array of 12");
  assertThrows(() => small(gpu, { parameters: foreign }), TypeError, "no lm_head.weight");
  assertThrows(() => small(gpu, { batch: 0 }), RangeError, "batch is 0");
  assertThrows(() => small(gpu, { context: 1.5 }), RangeError, "context is 1.5");
  assertThrows(() => small(gpu, { microBatches: -1 }), RangeError, "microBatches is -1");
  assertThrows(() => small(gpu, { config: { ...config, headDim: 6 } }), RangeError, "headDim");
  assertEquals(gpu.memory, before);
  using model = small(gpu);
  const { inputs, targets } = llamaBatch(config, { batch: 2, context: 9, seed: 1 });
  const wrong = inputs.with(3, config.vocabulary) as Uint32Array<ArrayBuffer>;
  assertThrows(() => model.setBatch({ inputs: wrong, targets }), RangeError, "inputs[3] is 11");
  assertThrows(() => model.setBatch({ inputs, targets: wrong }), RangeError, "targets[3] is 11");
  assertThrows(
    () => model.setBatch({ inputs: inputs.subarray(1), targets }),
    TypeError,
    "wanted a Uint32Array of 18",
  );
  return Promise.resolve();
});
