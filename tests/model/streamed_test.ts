/**
 * Pretrained models, computed layer by layer, agree with Hugging Face's transformers in float64.
 */
import type { Gpu, Tensor } from "../../mod.ts";
import { openWeights } from "../../src/model/pretrained/weights.ts";
import { type LogitsMemory, StreamedLlama } from "../../src/model/streamed.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../support/assert/assert.ts";
import { onEachRuntime, portableGpu } from "../support/gpu.ts";
import {
  BATCH,
  CONTEXT,
  FAMILIES,
  familyFolder,
  readExpected,
  relativeDistance,
  traceEntries,
} from "../support/pretrained/families.ts";

/**
 * The largest allowed relative distance from transformers' numbers. float32 rounds by 6e-8. After
 * sums of some dozen terms in each of three layers, the largest distance measured is 3e-6. A wrong
 * term causes a far larger one.
 */
const TOLERANCE = 1e-5;

async function compare(gpu: Gpu, name: string, logitsMemory: LogitsMemory = {}): Promise<number> {
  const expected = await readExpected(name);
  using source = await openWeights(familyFolder(name));
  using model = new StreamedLlama(gpu, {
    source,
    batch: BATCH,
    context: CONTEXT,
    kernels: "start",
    logits: logitsMemory,
  });
  const { vocabulary, layers } = source.architecture.config;
  let worst = 0;
  const close = (what: string, found: ArrayLike<number>, wanted: Float32Array) => {
    assert(Math.hypot(...wanted) > 1e-6, `${what}: what is wanted is as good as 0`);
    const distance = relativeDistance(found, wanted);
    assert(distance < TOLERANCE, `${what}: off by ${distance}`);
    worst = Math.max(worst, distance);
  };
  const logits = new Float32Array(BATCH * CONTEXT * vocabulary);
  const { loss, tokenLosses } = await model.forward(expected.batch, {
    onLogits: (first, slice) => {
      const columns = slice.length / (BATCH * CONTEXT);
      slice.forEach((z, i) =>
        logits[Math.floor(i / columns) * vocabulary + first + i % columns] = z
      );
    },
  });
  close("loss", [loss], Float32Array.of(expected.loss));
  assertEquals(tokenLosses.length, BATCH * CONTEXT);
  close("logits", logits, expected.logits);
  const seen: number[] = [];
  await model.backward({
    onLayer: async (index, trace) => {
      seen.unshift(index);
      const wanted = expected.layer(index);
      for (const [key, tensor] of traceEntries(trace)) {
        close(`layer ${index} ${key}`, await tensor.read(), wanted.get(key)!);
      }
      const next = expected.layer(index + 1).get("input") ?? expected.final;
      close(`layer ${index} output`, await trace.output.read(), next);
    },
  });
  assertEquals(seen, Array.from({ length: layers }, (_, layer) => layer));
  return worst;
}

for (const name of FAMILIES) {
  onEachRuntime(
    `StreamedLlama agrees with transformers in every state and gradient: ${name}`,
    async (gpu) => {
      const worst = await compare(gpu, name);
      assert(worst > 1e-9, "what was found is what was wanted");
      console.log(`    at most ${worst.toExponential(1)} of the length`);
    },
    { permissions: ["read"] },
  );
}

onEachRuntime(
  "StreamedLlama agrees with transformers with portable kernels: qwen3",
  async (gpu) => {
    await compare(portableGpu(gpu), "qwen3");
  },
  { runtimes: ["deno"], permissions: ["read"] },
);

onEachRuntime(
  "StreamedLlama runs again with the same bits, and frees its memory",
  async (gpu) => {
    const { batch } = await readExpected("qwen2");
    using source = await openWeights(familyFolder("qwen2"));
    await gpu.sync();
    const before = gpu.memory;
    const model = new StreamedLlama(gpu, { source, batch: BATCH, context: CONTEXT });
    const run = async () => {
      const { tokenLosses } = await model.forward(batch);
      const found = [...tokenLosses];
      await model.backward({
        onLayer: async (_, { gradients }) => {
          found.push(...await gradients.input.read());
        },
      });
      return found;
    };
    assertEquals(await run(), await run());
    model.dispose();
    assertEquals(gpu.memory, before);
  },
  { runtimes: ["deno"], permissions: ["read"] },
);

onEachRuntime(
  "StreamedLlama reads weights once if memory allows, with the same bits",
  async (gpu) => {
    // With subgroups of four lanes, as on SwiftShader, neither `steps` nor `start` puts weights
    // into images. So take `start`, whose kernels compile faster.
    const kernels = gpu.info.subgroupSize?.maximum === 4 ? "start" : "steps";
    const { batch } = await readExpected("qwen2");
    using source = await openWeights(familyFolder("qwen2"));
    const before = gpu.memory.bytes;
    const run = async (keptBytes: number) => {
      const read: string[] = [];
      const counted = Object.create(source, {
        read: {
          value: (...args: Parameters<typeof source.read>) => {
            read.push(args[0]);
            return source.read(...args);
          },
        },
        readBits: {
          value: (...args: Parameters<typeof source.readBits>) => {
            read.push(args[0]);
            return source.readBits(...args);
          },
        },
      });
      using model = new StreamedLlama(gpu, {
        source: counted,
        batch: BATCH,
        context: CONTEXT,
        kernels,
        keptBytes,
      });
      const bytes = gpu.memory.bytes - before;
      const passes: number[][] = [];
      for (let pass = 0; pass < 2; pass++) {
        const { tokenLosses } = await model.forward(batch);
        const found = [...tokenLosses];
        read.push("backward");
        await model.backward({
          onLayer: async (_, { gradients }) => {
            found.push(...await gradients.input.read());
          },
        });
        passes.push(found);
        read.push("forward");
      }
      assertEquals(passes[1], passes[0]);
      const again = read.slice(read.indexOf("forward") + 1).filter((name) => name.includes("."));
      return { bytes, found: passes[0], again: again.filter((name) => !name.includes("embed")) };
    };
    const none = await run(0);
    const all = await run(Infinity);
    assertEquals(all.found, none.found);
    assertEquals(all.again, []);
    assert(none.again.length > 0, "weights are never read again");
    // A model that may keep one byte less than that cannot keep all weights.
    const some = await run(all.bytes - 1);
    assertEquals(some.found, none.found);
    assert(some.bytes < all.bytes && some.bytes > none.bytes, `${some.bytes} bytes`);
  },
  { runtimes: ["deno"], permissions: ["read"] },
);

onEachRuntime(
  "StreamedLlama has the same bits whether states are kept, recomputed, or not needed",
  async (gpu) => {
    const { batch } = await readExpected("qwen3");
    using source = await openWeights(familyFolder("qwen3"));
    const shape = {
      source,
      batch: BATCH,
      context: CONTEXT,
      kernels: "start",
    } as const;
    const { layers, modelDim } = source.architecture.config;
    const before = gpu.memory.bytes;
    const memory: number[] = [];
    const run = async (options: { readonly keptBytes?: number }) => {
      using model = new StreamedLlama(gpu, { ...shape, ...options });
      memory.push(gpu.memory.bytes - before);
      const { tokenLosses } = await model.forward(batch);
      const found = [...tokenLosses];
      await model.backward({
        onLayer: async (_, trace) => {
          for (const [, tensor] of traceEntries(trace)) found.push(...await tensor.read());
          found.push(...await trace.attention!.logSumExp.read(), ...await trace.output.read());
        },
      });
      return found;
    };
    const again = await run({ keptBytes: 0 });
    assertEquals(await run({}), again);
    const [without, all] = memory as [number, number];
    assert(all > without, "nothing is kept");
    // `half` bytes do not suffice to keep all states and weights.
    const half = (all + without) / 2;
    assertEquals(await run({ keptBytes: half }), again);
    assert(memory[2]! > without && memory[2]! <= half, `${memory[2]} bytes`);
    // A model without a backward pass gives the same losses and does not keep the layers' inputs.
    using forward = new StreamedLlama(gpu, { ...shape, keptBytes: 0, backward: false });
    const own = gpu.memory.bytes - before;
    assert(own < without - 4 * layers * BATCH * CONTEXT * modelDim, `${own} of ${without} bytes`);
    const { tokenLosses } = await forward.forward(batch);
    assertEquals([...tokenLosses], again.slice(0, tokenLosses.length));
    await assertRejects(
      () => forward.backward({ onLayer: () => {} }),
      TypeError,
      "backward() of a model that was made without a way back",
    );
    await assertRejects(
      () => forward.forward(batch, { firstLayer: 1 }),
      RangeError,
      "firstLayer is 1, wanted an integer from 0 to 0",
    );
  },
  { runtimes: ["deno"], permissions: ["read"] },
);

onEachRuntime("StreamedLlama can start at a layer whose input it kept", async (gpu) => {
  const { batch } = await readExpected("qwen3");
  using source = await openWeights(familyFolder("qwen3"));
  using model = new StreamedLlama(gpu, {
    source,
    batch: BATCH,
    context: CONTEXT,
    kernels: "start",
  });
  await assertRejects(() => model.forward(batch, { firstLayer: 1 }), RangeError, "firstLayer is 1");
  const plain = await model.forward(batch);
  const ran: number[] = [];
  const zero = (layer: number, output: Tensor) => {
    ran.push(layer);
    if (layer === 1) output.write(new Float32Array(output.length));
  };
  const changed = await model.forward(batch, { onOutput: zero });
  assert(changed.loss !== plain.loss, "what layer 1 gives does not matter");
  assertEquals(await model.forward(batch, { firstLayer: 1, onOutput: zero }), changed);
  assertEquals(ran, [0, 1, 2, 1, 2]);
  assertEquals(await model.forward(batch, { firstLayer: 1 }), plain);
}, { runtimes: ["deno"], permissions: ["read"] });

onEachRuntime("StreamedLlama allows a layer's output to be changed during a pass", async (gpu) => {
  const { batch } = await readExpected("mistral");
  using source = await openWeights(familyFolder("mistral"));
  using model = new StreamedLlama(gpu, { source, batch: BATCH, context: CONTEXT });
  const plain = await model.forward(batch);
  const layers: number[] = [];
  const same = await model.forward(batch, { onOutput: (layer) => void layers.push(layer) });
  assertEquals(same, plain);
  assertEquals(layers, [0, 1]);
  const { modelDim } = source.architecture.config;
  const changed = await model.forward(batch, {
    onOutput: (layer, output) => {
      // Token 3 of the second sequence.
      const at = (CONTEXT + 3) * modelDim;
      if (layer === 0) output.slice(at, [modelDim]).write(new Float32Array(modelDim));
    },
  });
  const differing = [...changed.tokenLosses].flatMap((loss, i) =>
    loss === plain.tokenLosses[i] ? [] : [i]
  );
  assertEquals(differing, [CONTEXT + 3, CONTEXT + 4, CONTEXT + 5]);
}, { runtimes: ["deno"], permissions: ["read"] });

onEachRuntime("StreamedLlama refuses batches and layers that it cannot compute", async (gpu) => {
  using source = await openWeights(familyFolder("mistral"));
  assertThrows(
    () => new StreamedLlama(gpu, { source, batch: 0, context: 4 }),
    RangeError,
    "batch is 0, wanted a positive integer",
  );
  using model = new StreamedLlama(gpu, { source, batch: 1, context: 4 });
  const inputs = Uint32Array.of(1, 2, 3, 4);
  await assertRejects(
    () => model.backward({ onLayer: () => {} }),
    TypeError,
    "backward() is called before forward()",
  );
  await assertRejects(
    () => model.forward({ inputs, targets: inputs.subarray(1) }),
    TypeError,
    "targets has 3 elements, wanted a Uint32Array of 4",
  );
  await assertRejects(
    () => model.forward({ inputs, targets: Uint32Array.of(1, 2, 39, 4) }),
    RangeError,
    "targets[2] is 39, wanted at most 38",
  );
}, { runtimes: ["deno"], permissions: ["read"] });
