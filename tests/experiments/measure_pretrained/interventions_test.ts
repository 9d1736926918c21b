/** Replacing massive activations in a small checkpoint agrees with the float64 twin. */
import { measurePretrained } from "../../../src/experiments/measure_pretrained.ts";
import { openWeights, type WeightSource } from "../../../src/model/pretrained/weights.ts";
import type { LlamaConfig } from "../../../src/reference/llama/config.ts";
import { llamaGradients, llamaLoss } from "../../../src/reference/llama.ts";
import { EMBEDDING, HEAD, layerParameterNames } from "../../../src/reference/llama/parameters.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { onEachRuntime } from "../../support/gpu.ts";
import { llamaBatch } from "../../support/model/llama.ts";
import { familyFolder } from "../../support/pretrained/families.ts";

const [TEXTS, CONTEXT] = [8, 8];
/** The layer and dimension in which the test creates massive activations. */
const [LAYER, DIMENSION] = [1, 6];

/**
 * The largest allowed error of a loss. float32 rounds a loss of 5 by up to 2.4e-7. Through three
 * layers the error was at most 2e-7 (measured on lavapipe). Every tested replacement changes the
 * loss by far more. Setting ordinary elements to zero changes it least, by 7e-5.
 */
const TOLERANCE = 5e-6;

/** The model with a layer whose MLP writes 3,000 times as strongly into one dimension. */
async function massiveModel(): Promise<WeightSource> {
  const source = await openWeights(familyFolder("qwen3"));
  const { down } = layerParameterNames(LAYER);
  const [, width] = source.shapes.get(down)!;
  return Object.assign(Object.create(source) as WeightSource, {
    async read(...[name, rows, into]: Parameters<WeightSource["read"]>) {
      const values = await source.read(name, rows, into);
      if (name === down) {
        for (let i = 0; i < width!; i++) values[DIMENSION * width! + i]! *= 3000;
      }
      return values;
    },
    [Symbol.dispose]: () => source[Symbol.dispose](),
    architecture: source.architecture,
    shapes: source.shapes,
  });
}

/** The twin's loss if layer LAYER's output is `states`. Runs only the layers after it. */
function lossFrom(
  states: Float64Array,
  { config, parameters, targets }: {
    readonly config: LlamaConfig;
    readonly parameters: ReadonlyMap<string, Float64Array>;
    readonly targets: Uint32Array;
  },
): number {
  const first = LAYER + 1;
  // The states become the embedding's first rows. So token i's embedding is state i.
  const embedding = new Float64Array(parameters.get(EMBEDDING)!);
  embedding.set(states);
  const moved = new Map<string, Float64Array>([
    ...parameters,
    [HEAD, parameters.get(config.tiedHead ? EMBEDDING : HEAD)!],
    [EMBEDDING, embedding],
  ]);
  for (let layer = 0; layer < config.layers; layer++) {
    for (const [kind, name] of Object.entries(layerParameterNames(layer))) {
      const from = layerParameterNames(layer + first)[kind as "query"];
      if (layer + first < config.layers && parameters.has(from)) {
        moved.set(name, parameters.get(from)!);
      } else moved.delete(name);
    }
  }
  const batch = states.length / config.modelDim / CONTEXT;
  return llamaLoss({
    config: { ...config, layers: config.layers - first, tiedHead: false },
    parameters: moved,
    batch: {
      batch,
      context: CONTEXT,
      inputs: Uint32Array.from({ length: batch * CONTEXT }, (_, i) => i),
      targets,
    },
  });
}

onEachRuntime(
  "measurePretrained() replaces massive activations where they first occur, as the twin does",
  async (gpu) => {
    using source = await massiveModel();
    const { config } = source.architecture;
    const parameters = new Map<string, Float64Array>();
    for (const name of source.shapes.keys()) {
      parameters.set(name, Float64Array.from(await source.read(name)));
    }
    const text = (step: number, batch: number) =>
      llamaBatch(config, { batch, context: CONTEXT, seed: 20 + step });
    const task = {
      vocabulary: config.vocabulary,
      context: CONTEXT,
      batch: (step: number, { batch }: { readonly batch: number }) => ({
        ...text(step, batch),
        batch,
        context: CONTEXT,
      }),
      oracleLoss: () => undefined,
      idleQueries: () => undefined,
    };
    const { pretrained, sinks } = await measurePretrained(gpu, {
      source,
      batch: TEXTS / 2,
      kernels: "start",
      task: task as never,
      batches: 2,
      settings: { window: 4, lastGradientPosition: 5 },
      theory: false,
      quantization: false,
    });
    const width = config.modelDim;
    const twins = [0, 1].map((step) => {
      const batch = text(step, TEXTS / 2);
      const { trace, loss } = llamaGradients({ config, parameters, batch });
      return { targets: batch.targets, states: trace.layers[LAYER]!.output, loss };
    });
    const length = CONTEXT * width;
    const massive: { step: number; at: number; value: number; token: number }[] = [];
    twins.forEach(({ states }, step) => {
      for (let row = 0; row < TEXTS / 2; row++) {
        const own = states.subarray(row * length, (row + 1) * length);
        const sorted = [...own].map(Math.abs).sort((a, b) => a - b);
        const median = (sorted[length / 2 - 1]! + sorted[length / 2]!) / 2;
        own.forEach((value, i) => {
          if (Math.abs(value) > 100 && Math.abs(value) >= 1000 * median) {
            const token = Math.floor(i / width);
            massive.push({ step, at: row * length + i, value, token });
          }
        });
      }
    });
    const tokens = new Set(massive.map(({ token }) => token));
    assert(tokens.has(0) && tokens.size > 2, `massive at tokens ${[...tokens]}`);
    assert(massive.length < TEXTS * CONTEXT, "every token is massive");
    const { interventions } = pretrained;
    assertEquals(
      interventions!.map(({ values, replaced }) => `${values} ${replaced}`),
      ["massive zero", "massive mean", "ordinary zero"],
    );
    const mean = (numbers: readonly number[]) =>
      numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
    const meanOf = (first: boolean) =>
      mean(massive.filter(({ token }) => (token === 0) === first).map(({ value }) => value));
    const ordinary = ({ states, at }: { states: Float64Array; at: number }) => {
      const start = Math.floor(at / width) * width;
      const order = Array.from({ length: width }, (_, i) => i)
        .sort((a, b) => Math.abs(states[start + a]!) - Math.abs(states[start + b]!));
      return start + order[Math.floor((width - 1) / 2)]!;
    };
    const change: readonly ((
      states: Float64Array,
      each: { at: number; token: number },
    ) => void)[] = [
      (states, { at }) => states[at] = 0,
      (states, { at, token }) => states[at] = meanOf(token === 0),
      (states, { at }) => states[ordinary({ states, at })] = 0,
    ];
    const { loss } = sinks;
    change.forEach((apply, i) => {
      const wanted = mean(twins.map(({ states, targets }, step) => {
        const changed = states.slice();
        for (const each of massive) if (each.step === step) apply(changed, each);
        return lossFrom(changed, { config, parameters, targets });
      }));
      const found = interventions![i]!;
      const what = `${found.values} ${found.replaced}`;
      const effect = Math.abs(wanted - loss!);
      assert(effect > 10 * TOLERANCE, `${what}: changes the loss from ${loss} to ${wanted}`);
      assert(
        Math.abs(found.loss - wanted) < TOLERANCE,
        `${what}: ${found.loss}, wanted ${wanted}, ${loss} as it is`,
      );
      assert(Math.abs(found.difference - (found.loss - loss!)) < 1e-12, what);
      const [low, high] = found.interval!;
      assert(low <= found.difference && found.difference <= high, what);
      assertEquals([found.layer, found.dimensions], [LAYER, [DIMENSION]]);
      assertEquals([found.elements, found.positions], [
        massive.length,
        [...tokens].sort((a, b) => a - b),
      ]);
    });
    const unchanged = mean(
      twins.map((twin) => lossFrom(twin.states, { config, parameters, ...twin })),
    );
    assert(
      Math.abs(unchanged - loss!) < TOLERANCE,
      `the test's layers make ${unchanged} of ${loss}`,
    );
  },
  { runtimes: ["deno"], permissions: ["read"] },
);
