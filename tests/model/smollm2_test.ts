/**
 * SmolLM2-135M-Instruct agrees with PyTorch in float64. The model is not part of the project:
 * GRADSINK_SMOLLM2 names its folder in Hugging Face's layout. If this variable is unset, the test
 * is ignored, and its name says why. fixtures/pretrained/README.md says how to make the folder.
 */
import { fileURLToPath } from "node:url";
import { readSafetensors } from "../../src/model/checkpoint/safetensors.ts";
import { openWeights } from "../../src/model/pretrained/weights.ts";
import { StreamedLlama } from "../../src/model/streamed.ts";
import { readLayer } from "../../src/experiments/measure_model.ts";
import { attentionColumn } from "../../src/sinks/attention_column.ts";
import { GradientMeter } from "../../src/sinks/meters/gradient.ts";
import { rowNorm } from "../../src/sinks/numbers.ts";
import { assert } from "../support/assert/assert.ts";
import { testGpu } from "../support/gpu.ts";
import { missingFlags } from "../support/permitted.ts";
import { relativeDistance } from "../support/pretrained/families.ts";

const missing = missingFlags(["read", "env"]);
const folder = missing.length === 0 ? Deno.env.get("GRADSINK_SMOLLM2") : undefined;
const without = missing.length > 0
  ? ` [needs ${missing.join(" ")}]`
  : folder === undefined
  ? " [needs GRADSINK_SMOLLM2, the model's folder]"
  : "";

const [BATCH, CONTEXT] = [2, 64];
/**
 * The layers whose inputs are compared element by element, for SHOWN_TOKENS of the first text. 30
 * stands for the last layer's output.
 */
const SHOWN = [0, 3, 12, 13, 20, 29, 30];
const SHOWN_TOKENS = [1, 63];

/**
 * The largest allowed errors. Each is about three times the error measured on lavapipe. float32
 * rounds in each of the 30 layers: even PyTorch's float32 logits differ from its float64 logits by
 * 1.4e-6 of their norm. Gradients have larger errors for two reasons. They collect the rounding of
 * the forward and of the backward pass. And where RMSNorm shrinks the gradient of a massive state,
 * large terms cancel.
 */
const TOLERANCES = {
  loss: 5e-6,
  logits: 1e-5,
  states: 1e-5,
  gradients: 1.5e-4,
  norms: 1e-5,
  gradientNorms: 2e-4,
  scores: 2e-5,
};

Deno.test({
  name: `StreamedLlama agrees with PyTorch on SmolLM2-135M-Instruct${without}`,
  ignore: without !== "",
  async fn() {
    const path = fileURLToPath(
      new URL("../../fixtures/pretrained/smollm2.safetensors", import.meta.url),
    );
    const expected = await readSafetensors(path);
    const wanted = (name: string) => expected.get(name)!.data;
    const gpu = await testGpu("deno");
    using source = await openWeights(folder!);
    const { config } = source.architecture;
    using model = new StreamedLlama(gpu, { source, batch: BATCH, context: CONTEXT });
    const worst: Record<string, number> = {};
    const close = (
      what: keyof typeof TOLERANCES,
      found: ArrayLike<number>,
      target: ArrayLike<number>,
      where: string,
    ) => {
      const distance = relativeDistance(found, target);
      worst[what] = Math.max(worst[what] ?? 0, distance);
      assert(distance <= TOLERANCES[what], `${where}: off by ${distance}`);
    };
    const logits = new Float32Array(2 * config.vocabulary);
    const { loss } = await model.forward({
      inputs: Uint32Array.from(wanted("inputs")),
      targets: Uint32Array.from(wanted("targets")),
    }, {
      onLogits(first, slice) {
        const columns = slice.length / (BATCH * CONTEXT);
        [0, CONTEXT - 1].forEach((token, row) =>
          logits.set(
            slice.subarray(token * columns, (token + 1) * columns),
            row * config.vocabulary + first,
          )
        );
      },
    });
    close("loss", [loss], wanted("loss"), "loss");
    close("logits", logits.filter((_, i) => i % 32 === 0), wanted("logits"), "logits");
    const width = config.modelDim;
    const layerOf = (name: string, layer: number) => {
      const { shape, data } = expected.get(name)!;
      const size = data.length / shape[0]!;
      return data.subarray(layer * size, (layer + 1) * size);
    };
    const rowNorms = (state: Float32Array) =>
      Float64Array.from(
        { length: BATCH * CONTEXT },
        (_, row) => rowNorm(state, row * width, width),
      );
    const shownRows = (state: Float32Array) =>
      SHOWN_TOKENS.flatMap((token) => [...state.subarray(token * width, (token + 1) * width)]);
    let sinks = 0;
    await model.backward({
      async onLayer(layer, trace) {
        const read = await readLayer(trace, { gradientFactor: 1 });
        const { input, half, attention, gradients } = read;
        const at = `layer ${layer}`;
        const shown = SHOWN.indexOf(layer);
        if (shown >= 0) {
          close("states", shownRows(input), layerOf("states", shown), `${at}'s input`);
          close(
            "gradients",
            shownRows(gradients.input),
            layerOf("stateGradients", shown),
            `the gradient by ${at}'s input`,
          );
        }
        if (layer === config.layers - 1) {
          close("states", shownRows(read.output), layerOf("states", 6), "the last output");
          close("norms", rowNorms(read.output), layerOf("inputNorms", layer + 1), "‖last output‖");
        }
        close("norms", rowNorms(input), layerOf("inputNorms", layer), `${at} ‖h‖`);
        close("norms", rowNorms(half), layerOf("halfNorms", layer), `${at} ‖h½‖`);
        close(
          "gradientNorms",
          rowNorms(gradients.input),
          layerOf("inputGradientNorms", layer),
          `${at} ‖∇h‖`,
        );
        const { gradients: inner } = attention!;
        close(
          "gradientNorms",
          rowNorms(inner.norm),
          layerOf("normGradientNorms", layer),
          `${at} ‖∇h̃‖`,
        );
        for (const kind of ["query", "key", "value"] as const) {
          const heads = kind === "query" ? config.queryHeads : config.keyValueHeads;
          close(
            "gradientNorms",
            headNorms(inner[kind], heads, config.headDim),
            layerOf(`${kind}GradientNorms`, layer),
            `${at} ‖∇${kind}‖`,
          );
        }
        const summed = new GradientMeter({ heads: 1, context: CONTEXT, width });
        summed.add(inner.norm, BATCH);
        close(
          "gradientNorms",
          summed.summed(),
          layerOf("summedNormGradientNorms", layer),
          `${at} ‖Σ∇h̃‖`,
        );
        const shape = { ...config, batch: BATCH, context: CONTEXT };
        const column = attentionColumn(attention!, { shape, position: 0 });
        const scores = Float64Array.from(
          { length: BATCH * config.queryHeads },
          (_, row) =>
            column.subarray(row * CONTEXT, (row + 1) * CONTEXT).reduce((a, b) => a + b, 0) /
            CONTEXT,
        );
        sinks += scores.filter((score) => score > 0.3).length;
        close("scores", scores, layerOf("scores", layer), `${at}'s sink scores`);
      },
    });
    const rate = wanted("scores").filter((score) => score > 0.3).length;
    assert(sinks === rate, `${sinks} sinks, PyTorch finds ${rate}`);
    console.log(
      `    of the length: ${
        Object.entries(worst).map(([what, each]) => `${what} ${each.toExponential(1)}`).join(", ")
      }`,
    );
  },
});

/** Each token's norm over all of its heads' rows, [B, T], in a state [B, heads, T, D]. */
function headNorms(state: Float32Array, heads: number, headDim: number): Float64Array {
  return Float64Array.from({ length: BATCH * CONTEXT }, (_, i) => {
    const [text, token] = [Math.floor(i / CONTEXT), i % CONTEXT];
    let squares = 0;
    for (let head = 0; head < heads; head++) {
      const start = ((text * heads + head) * CONTEXT + token) * headDim;
      squares += rowNorm(state, start, headDim) ** 2;
    }
    return Math.sqrt(squares);
  });
}
