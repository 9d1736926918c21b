import { randomNormal } from "../../src/random.ts";
import { richardsonDerivative } from "../../src/reference/finite_differences.ts";
import { llamaGradients, llamaLoss, type LlamaOptions } from "../../src/reference/llama.ts";
import { type LlamaConfig, V_SCALE_VARIANTS } from "../../src/reference/llama/config.ts";
import {
  EMBEDDING,
  layerParameterNames,
  listParameters,
} from "../../src/reference/llama/parameters.ts";
import { mergeHeads, splitHeads } from "../../src/reference/llama/parts.ts";
import { tensor } from "../../src/reference/tensor.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { llamaBatch, llamaParameters, SMALL_LLAMA } from "../support/model/llama.ts";

function optionsOf(config: LlamaConfig, seed = 1): LlamaOptions {
  const parameters = new Map(
    [...llamaParameters(config, { seed })].map(([name, values]) => [
      name,
      Float64Array.from(values),
    ]),
  );
  return { config, parameters, batch: llamaBatch(config, { batch: 2, context: 5, seed }) };
}

const models: Readonly<Record<string, Partial<LlamaConfig>>> = {
  ...Object.fromEntries(V_SCALE_VARIANTS.map((vScale) => [vScale, { vScale }])),
  "tied head": { tiedHead: true, vScale: "learned" },
  "learned sinks": { sinkLogit: "learned" },
  "learned sinks, gates and V-scale": {
    sinkLogit: "learned",
    attentionGate: "element",
    vScale: "learned",
  },
  "softmax-off-by-one": { sinkLogit: "zero" },
  "a gate for each head": { attentionGate: "head" },
  "a gate for each element": { attentionGate: "element" },
  "projection biases": { projectionBiases: true },
  "biases of all of attention's projections": { projectionBiases: true, attentionOutputBias: true },
  "norms of query and key": { queryKeyNorm: true },
  "biases in front of the norms of query and key": { projectionBiases: true, queryKeyNorm: true },
  "linear RoPE scaling": { ropeScaling: { type: "linear", factor: 3 } },
  // Of four frequencies the first stays, the last is divided by 8, and the two between become
  // weighted means of the undivided and the divided frequency.
  "Llama 3's RoPE scaling": {
    ropeScaling: {
      type: "llama3",
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 8,
      originalPositions: 64,
    },
  },
  "attention in all layers": { layers: 1, layersWithoutAttention: [], keyValueHeads: 4 },
};

for (const [name, change] of Object.entries(models)) {
  Deno.test(`llamaGradients() agrees with finite differences: ${name}`, () => {
    const options = optionsOf({ ...SMALL_LLAMA, ...change });
    const { config, parameters } = options;
    const { loss, gradients, trace } = llamaGradients(options);
    assertEquals(loss, llamaLoss(options));
    // Mode "backward-only" has the gradient of sg(v) + φ(v) − sg(φ(v)), where sg stops the
    // gradient. So the finite differences keep the v inside sg at its value in the trace.
    const held = config.vScale === "backward-only"
      ? trace.layers.map(({ attention }) => attention?.value)
      : undefined;
    const names = listParameters(config).map((parameter) => parameter.name);
    assertEquals([...gradients.keys()].sort(), [...names].sort());
    names.forEach((parameter, i) => {
      const gradient = gradients.get(parameter)!;
      const start = parameters.get(parameter)!;
      // The finite differences below move the parameter along a random direction. It has length 1,
      // so that even the largest step, 0.02, is small enough for the extrapolation.
      const drawn = Float64Array.from(randomNormal({ seed: 99 + i, length: start.length }));
      const length = Math.hypot(...drawn);
      const direction = drawn.map((x) => x / length);
      const found = gradient.reduce((sum, each, j) => sum + each * direction[j]!, 0);
      const moved = (h: number) =>
        llamaLoss({
          ...options,
          held,
          parameters: new Map(parameters).set(
            parameter,
            start.map((x, j) => x + h * direction[j]!),
          ),
        });
      const { value, error } = richardsonDerivative(moved, { step: 0.02, levels: 7 });
      // The tolerance is four times the finite difference's estimated error, plus 1e-12 of the
      // gradient for rounding that this error leaves out: the forward and the backward pass each
      // sum some hundred terms as large as the gradient.
      const scale = Math.hypot(...gradient);
      assert(scale > 1e-6, `${parameter}: a gradient of ${scale} shows nothing`);
      assert(
        error < 1e-6 * scale,
        `${parameter}: an estimate off by ${error} of ${scale} shows little`,
      );
      assert(
        Math.abs(found - value) <= 4 * error + 1e-12 * scale,
        `${parameter}: ${found}, differences say ${value} ± ${error}`,
      );
    });
  });
}

Deno.test("llamaGradients() with backward-only V-scale changes the gradients by values, not the values", () => {
  const run = (vScale: LlamaConfig["vScale"]) =>
    llamaGradients(optionsOf({ ...SMALL_LLAMA, vScale }));
  const [none, backwardOnly, fixed] = [run("none"), run("backward-only"), run("fixed")];
  assertEquals(backwardOnly.loss, none.loss);
  assert(Math.abs(fixed.loss - none.loss) > 1e-4, "the valve changes nothing");
  const { value } = layerParameterNames(2);
  const [with_, without] = [backwardOnly.gradients.get(value)!, none.gradients.get(value)!];
  // The gradients of the last layer's queries and keys do not pass through a valve.
  const { query } = layerParameterNames(2);
  assertEquals(backwardOnly.gradients.get(query), none.gradients.get(query));
  assert(Math.hypot(...with_) < 0.9 * Math.hypot(...without), "the valve lets everything pass");
});

Deno.test("llamaGradients()'s trace obeys the model's equations and the theory's identities", () => {
  const options = optionsOf({ ...SMALL_LLAMA, vScale: "learned" });
  const { config, parameters } = options;
  const { trace, gradients } = llamaGradients(options);
  const { modelDim, headDim, queryHeads } = config;
  const { batch, context } = trace;
  const rows = batch * context;
  assertEquals([batch, context, trace.layers.length], [2, 5, 3]);
  const close = (a: Float64Array, b: Float64Array, what: string) => {
    assertEquals(a.length, b.length, what);
    const size = Math.max(...b.map(Math.abs));
    a.forEach((x, i) => assert(Math.abs(x - b[i]!) <= 1e-12 * size, `${what}[${i}]`));
  };
  const added = (a: Float64Array, b: Float64Array) => a.map((x, i) => x + b[i]!);
  trace.layers.forEach((layer, l) => {
    const { attention } = layer;
    assertEquals(layer.input.length, rows * modelDim);
    close(layer.output, added(layer.half, layer.mlpResidual), "output");
    const next = trace.layers[l + 1];
    if (next !== undefined) {
      assertEquals(layer.output, next.input);
      assertEquals(layer.gradients.output, next.gradients.input);
    }
    // ∂L/∂γ = Σ ∂L/∂h̃ ⊙ h̃ / γ over all rows, where h̃ is the norm's output.
    const gainGradient = (norm: Float64Array, by: Float64Array, gain: Float64Array) =>
      gain.map((value, i) => {
        let total = 0;
        for (let row = 0; row < rows; row++) {
          total += by[row * modelDim + i]! * norm[row * modelDim + i]! / value;
        }
        return total;
      });
    const names = layerParameterNames(l);
    close(
      gainGradient(layer.mlpNorm, layer.gradients.mlpNorm, parameters.get(names.mlpNorm)!),
      gradients.get(names.mlpNorm)!,
      names.mlpNorm,
    );
    if (attention === undefined) {
      assertEquals(l, 0);
      assertEquals(layer.half, layer.input);
      assertEquals(layer.gradients.half, layer.gradients.input);
      return;
    }
    close(layer.half, added(layer.input, attention.residual), "half");
    close(
      gainGradient(attention.norm, attention.gradients.norm, parameters.get(names.attentionNorm)!),
      gradients.get(names.attentionNorm)!,
      names.attentionNorm,
    );
    // ∂L/∂q_0 = 0, up to rounding: row 0 has a single weight, 1.
    for (let head = 0; head < batch * queryHeads; head++) {
      const at = head * context * headDim;
      const first = attention.gradients.query.subarray(at, at + headDim);
      const second = attention.gradients.query.subarray(at + headDim, at + 2 * headDim);
      assert(Math.hypot(...first) <= 1e-14 * Math.hypot(...second), `head ${head}`);
    }
  });
  // The embedding's gradient at a token of the vocabulary is the sum of the first layer's input
  // gradients over all positions that hold this token.
  const table = new Float64Array(config.vocabulary * modelDim);
  trace.layers[0]!.gradients.input.forEach((value, i) => {
    table[options.batch.inputs[Math.floor(i / modelDim)]! * modelDim + i % modelDim]! += value;
  });
  close(table, gradients.get(EMBEDDING)!, EMBEDDING);
});

Deno.test("llamaLoss() does not depend on later tokens, and starts at the entropy of a uniform guess", () => {
  const options = optionsOf({ ...SMALL_LLAMA, vScale: "fixed" });
  const { batch, config } = options;
  const inputs = Array.from(batch.inputs);
  inputs[4] = (inputs[4]! + 1) % config.vocabulary;
  const before = llamaGradients(options).logits;
  const after = llamaGradients({ ...options, batch: { ...batch, inputs } }).logits;
  const width = config.vocabulary;
  assertEquals(after.subarray(0, 4 * width), before.subarray(0, 4 * width));
  assertEquals(after.subarray(5 * width), before.subarray(5 * width));
  assert(after[4 * width] !== before[4 * width], "the changed token changes nothing");
  const zero = new Map([...options.parameters].map(([name, each]) => [name, each.map(() => 0)]));
  assert(Math.abs(llamaLoss({ ...options, parameters: zero }) - Math.log(width)) < 1e-14);
});

Deno.test("splitHeads() rotates Hugging Face's pairs, and mergeHeads() undoes it", () => {
  const layout = { batch: 1, context: 3, heads: 2, headDim: 4, rope: { ropeBase: 16 } };
  const rows = tensor(randomNormal({ seed: 1, length: 24 }), [3, 8]);
  const turned = splitHeads(rows, layout);
  assertEquals(turned.shape, [1, 2, 3, 4]);
  // Head 1 at position 2 is columns 4 to 7 of row 2. The angle is the position times a frequency:
  // 2 · 1 for the pair (4, 6) and 2 · 16^(−1/2) = 0.5 for the pair (5, 7).
  const [a, b, c, d] = rows.data.subarray(2 * 8 + 4, 2 * 8 + 8) as unknown as number[];
  const expected = [
    a! * Math.cos(2) - c! * Math.sin(2),
    b! * Math.cos(0.5) - d! * Math.sin(0.5),
    c! * Math.cos(2) + a! * Math.sin(2),
    d! * Math.cos(0.5) + b! * Math.sin(0.5),
  ];
  const found = turned.data.subarray((3 + 2) * 4, (3 + 3) * 4);
  expected.forEach((x, i) => assert(Math.abs(found[i]! - x) < 1e-15, `${i}`));
  const back = mergeHeads(turned, layout);
  back.data.forEach((x, i) => assert(Math.abs(x - rows.data[i]!) < 1e-15, `${i}`));
});

Deno.test("llamaGradients() refuses arguments that do not fit the model", () => {
  const options = optionsOf(SMALL_LLAMA);
  const lacking = new Map(options.parameters);
  lacking.delete(EMBEDDING);
  assertThrows(
    () => llamaGradients({ ...options, parameters: lacking }),
    TypeError,
    "model.embed_tokens.weight has no elements, wanted 132 as its shape is [11, 12]",
  );
  const { batch } = options;
  assertThrows(
    () => llamaLoss({ ...options, batch: { ...batch, targets: [1] } }),
    TypeError,
    "targets has 1 tokens, wanted 10",
  );
  const inputs = Array.from(batch.inputs).with(3, 11);
  assertThrows(
    () => llamaLoss({ ...options, batch: { ...batch, inputs } }),
    RangeError,
    "inputs[3] is 11, wanted an integer from 0 to 10",
  );
});
