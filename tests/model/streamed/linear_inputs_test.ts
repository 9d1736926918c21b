/** A `StreamedLlama` rounds the inputs of its linear maps as a `Llama` in memory does. */
import { Llama } from "../../../src/model/llama.ts";
import { openWeights } from "../../../src/model/pretrained/weights.ts";
import { QuantizedEvaluation } from "../../../src/model/quantized.ts";
import { StreamedLlama } from "../../../src/model/streamed.ts";
import {
  joinMaxima,
  LINEAR_MAPS,
  LinearMaximaMeter,
  LinearRounding,
} from "../../../src/model/streamed/linear_inputs.ts";
import { assert, assertEquals, assertRejects } from "../../support/assert/assert.ts";
import { onEachRuntime } from "../../support/gpu.ts";
import { llamaBatch } from "../../support/model/llama.ts";
import { familyFolder } from "../../support/pretrained/families.ts";

const shape = { batch: 2, context: 6, kernels: "start" } as const;

onEachRuntime(
  "LinearRounding rounds every layer as QuantizedEvaluation does, with the maxima of its calibration",
  async (gpu) => {
    using source = await openWeights(familyFolder("mistral"));
    const { config } = source.architecture;
    const batch = llamaBatch(config, { ...shape, seed: 3 });
    const parameters = new Map<string, Float32Array>();
    for (const name of source.shapes.keys()) parameters.set(name, await source.read(name));
    using whole = new Llama(gpu, { config, ...shape, parameters });
    whole.setBatch(batch);
    await gpu.sync();
    const before = gpu.memory.bytes;
    {
      using meter = new LinearMaximaMeter(gpu, config.layers);
      const { linearInput, onLayerStart, onOutput } = meter;
      using model = new StreamedLlama(gpu, { source, ...shape, linearInput });
      await assertRejects(() => meter.read(), TypeError, "read() wants a forward pass first");
      // In the second pass, the meter must forget the maxima of the first pass.
      const other = llamaBatch(config, { ...shape, seed: 4 });
      await model.forward(other, { onLayerStart, onOutput });
      const others = await meter.read();
      const { loss } = await model.forward(batch, { onLayerStart, onOutput });
      const maxima = await meter.read();
      assert(others.flat().some((row, i) => row !== maxima.flat()[i]), "both batches are alike");
      const joined = joinMaxima([others, maxima]);
      joined.forEach((row, layer) =>
        row.forEach((value, i) =>
          assertEquals(value, Math.max(others[layer]![i]!, maxima[layer]![i]!))
        )
      );
      for (const linears of ["down", "all"] as const) {
        for (const scale of ["static", "per-token"] as const) {
          using quantized = new QuantizedEvaluation(gpu, whole, { linears, scale });
          quantized.calibrate();
          for (const [name, maximum] of quantized.maxima) {
            const [, layer] = /layers\.(\d+)\./.exec(name)!;
            const map = LINEAR_MAPS.indexOf(name.replace(`layers.${layer}.`, "layers.0."));
            const [wanted] = await maximum.read();
            const found = maxima[Number(layer)]![map]!;
            assert(Math.abs(found / wanted! - 1) < 1e-5, `${name}: ${found}, wanted ${wanted}`);
          }
          quantized.evaluate();
          const [wanted] = await quantized.loss.read();
          using rounding = new LinearRounding(gpu, { linears, scale });
          const { linearInput, onLayerStart } = rounding;
          using rounded = new StreamedLlama(gpu, {
            source,
            ...shape,
            linearInput,
            backward: false,
          });
          if (scale === "static") {
            await assertRejects(
              () => rounded.forward(batch, { onLayerStart }),
              TypeError,
              "static scales want maxima first",
            );
          }
          rounding.maxima = maxima;
          const { loss: found } = await rounded.forward(batch, { onLayerStart });
          const effect = Math.abs(wanted! - loss);
          assert(effect > 1e-4, `${linears} ${scale}: rounding changes the loss by ${effect} only`);
          // A few numbers near the middle between two steps may be rounded up by one model and down
          // by the other. The limit allows them 1 % of the effect that rounding all numbers has.
          assert(
            Math.abs(found - wanted!) < 0.01 * effect + 2e-6,
            `${linears} ${scale}: ${found}, wanted ${wanted}, without ${loss}`,
          );
        }
      }
    }
    assertEquals(gpu.memory.bytes, before);
  },
  { runtimes: ["deno"], permissions: ["read"] },
);
