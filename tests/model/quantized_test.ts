import { Llama } from "../../src/model/llama.ts";
import { QuantizedEvaluation } from "../../src/model/quantized.ts";
import * as reference from "../../src/reference/mod.ts";
import { llamaGradients } from "../../src/reference/llama.ts";
import * as parts from "../../src/reference/llama/parts.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { onEachRuntime } from "../support/gpu.ts";
import { llamaBatch, llamaParameters, SMALL_LLAMA } from "../support/model/llama.ts";

// The attention gates and the projections share an input, which must be rounded only once.
const config = {
  ...SMALL_LLAMA,
  layers: 1,
  layersWithoutAttention: [],
  attentionGate: "head" as const,
  sinkLogit: "learned" as const,
};
const { modelDim, feedForwardDim, vocabulary } = config;
const sizes = { batch: 2, context: 9 };
const rows = sizes.batch * sizes.context;
const batch = llamaBatch(config, { ...sizes, seed: 6 });
const parameters = llamaParameters(config, { seed: 4 });
const DOWN = "model.layers.0.mlp.down_proj.weight";

function twinOf(name: string, shape: readonly number[]): reference.ReferenceTensor {
  return reference.tensor(Float64Array.from(parameters.get(name)!), shape);
}

/** The MLP's hidden rows, the residual state before the MLP, and the loss, in float64. */
function hiddenRows(): { hidden: Float64Array; half: Float64Array; loss: number } {
  const twin = llamaGradients({
    config,
    batch,
    parameters: new Map([...parameters].map(([name, each]) => [name, Float64Array.from(each)])),
  });
  const { half, mlpNorm } = twin.trace.layers[0]!;
  const input = reference.tensor(mlpNorm, [rows, modelDim]);
  const [gate, up] = ["gate", "up"].map((name) =>
    parts.linearForward({
      input,
      weight: twinOf(`model.layers.0.mlp.${name}_proj.weight`, [feedForwardDim, modelDim]),
    })
  ) as [reference.ReferenceTensor, reference.ReferenceTensor];
  return { hidden: parts.swigluForward({ gate, up }).data, half, loss: twin.loss };
}

/** The loss with `hidden` in place of the MLP's hidden rows. */
function lossWith(hidden: Float64Array, half: Float64Array): number {
  const residual = parts.linearForward({
    input: reference.tensor(hidden, [rows, feedForwardDim]),
    weight: twinOf(DOWN, [modelDim, feedForwardDim]),
  });
  const { output } = reference.rmsNormForward({
    input: parts.sum(reference.tensor(half, [rows, modelDim]), residual),
    gain: twinOf("model.norm.weight", [modelDim]),
    epsilon: config.normEpsilon,
  });
  const logits = parts.linearForward({
    input: output,
    weight: twinOf("lm_head.weight", [vocabulary, modelDim]),
  });
  return parts.crossEntropy(logits, batch.targets).loss;
}

function largest(numbers: Float64Array): number {
  return numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

function quantize(hidden: Float64Array, maximumOf: (row: Float64Array) => number): Float64Array {
  return hidden.map((x, i) => {
    const start = feedForwardDim * Math.floor(i / feedForwardDim);
    const scale = maximumOf(hidden.subarray(start, start + feedForwardDim)) / 127;
    return scale * Math.max(-127, Math.min(127, Math.round(x / scale)));
  });
}

for (const scale of ["static", "per-token"] as const) {
  onEachRuntime(
    `QuantizedEvaluation agrees with the twin on the down projection: ${scale}`,
    async (gpu) => {
      const { hidden, half, loss } = hiddenRows();
      assert(Math.abs(lossWith(hidden, half) - loss) < 1e-12, "the test's model is not the twin's");
      using model = new Llama(gpu, { config, ...sizes, parameters, kernels: "start" });
      model.setBatch(batch);
      using quantized = new QuantizedEvaluation(gpu, model, { linears: "down", scale });
      if (scale === "static") {
        assertThrows(() => quantized.evaluate(), TypeError, "calibrate() first");
      }
      quantized.calibrate();
      const whole = largest(hidden);
      const [maximum] = await quantized.maxima.get(DOWN)?.read() ?? [];
      if (scale === "static") assert(Math.abs(maximum! / whole - 1) < 1e-5, `${maximum}, ${whole}`);
      // A static scale for a hundredth of the range clips many numbers.
      const narrow = Math.fround(whole / 100);
      if (scale === "static") quantized.maxima.get(DOWN)!.write(Float32Array.of(narrow));
      quantized.evaluate();
      const [found] = await quantized.loss.read();
      const wanted = lossWith(
        quantize(hidden, scale === "static" ? () => narrow : largest),
        half,
      );
      const effect = Math.abs(wanted - loss);
      // A few numbers near the middle between two steps may be rounded up on the GPU and down by
      // the twin, or vice versa. The limit allows them 2 % of the effect that rounding all numbers
      // has.
      assert(effect > 1e-5, `quantizing changes the loss by ${effect} only`);
      assert(
        Math.abs(found! - wanted) < 0.02 * effect + 2e-6,
        `${found}, wanted ${wanted}, unquantized ${loss}`,
      );
      model.evaluate();
      const [untouched] = await model.evaluationLoss.read();
      assert(Math.abs(untouched! - loss) < 1e-5, "the model's own evaluation was quantized");
    },
  );
}

onEachRuntime(
  "QuantizedEvaluation of all linear maps rounds each input, and frees everything",
  async (gpu) => {
    using model = new Llama(gpu, { config, ...sizes, parameters, kernels: "start" });
    model.setBatch(batch);
    await gpu.sync();
    const before = gpu.memory;
    const quantized = new QuantizedEvaluation(gpu, model, { linears: "all", scale: "static" });
    assertEquals([...quantized.maxima.keys()], [
      "model.layers.0.self_attn.q_proj.weight",
      "model.layers.0.self_attn.o_proj.weight",
      "model.layers.0.mlp.gate_proj.weight",
      DOWN,
    ]);
    quantized.calibrate();
    quantized.evaluate();
    model.evaluate();
    const [[rounded], [loss]] = [await quantized.loss.read(), await model.evaluationLoss.read()];
    assert(rounded !== loss && Math.abs(rounded! - loss!) < 0.1, `${rounded}, unquantized ${loss}`);
    quantized.dispose();
    assertEquals(gpu.memory, before);
    const wrong = { linears: "up", scale: "static" } as never;
    assertThrows(() => new QuantizedEvaluation(gpu, model, wrong), RangeError, 'linears is "up"');
    assertEquals(gpu.memory, before);
  },
);
