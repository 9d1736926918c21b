/** A strong sink's measurements: the key gradient's precision, and its reported rounding error. */
import { measureModel } from "../../../src/experiments/measure_model.ts";
import type { Task, TokenBatch } from "../../../src/experiments/tasks/task.ts";
import type { Gpu } from "../../../mod.ts";
import { Llama } from "../../../src/model/llama.ts";
import { llamaGradients } from "../../../src/reference/llama.ts";
import { type LlamaConfig, PLAIN_LLAMA } from "../../../src/reference/llama/config.ts";
import {
  EMBEDDING,
  initialValues,
  layerParameterNames,
  listParameters,
} from "../../../src/reference/llama/parameters.ts";
import { formatSinkMeasurement } from "../../../src/report/sinks/text.ts";
import type { SinkMeasurement } from "../../../src/sinks/measurement.ts";
import { SinkMeter } from "../../../src/sinks/meter.ts";
import { assert, assertEquals, assertRejects } from "../../support/assert/assert.ts";
import { onEachRuntime } from "../../support/gpu.ts";

const config: LlamaConfig = {
  vocabulary: 9,
  layers: 1,
  modelDim: 8,
  queryHeads: 1,
  keyValueHeads: 1,
  headDim: 8,
  feedForwardDim: 12,
  ...PLAIN_LLAMA,
};
const context = 12;

/** The token at the beginning of every sequence, which occurs nowhere else. */
const FIRST = 8;

/**
 * A model whose queries give the first token all but about a millionth of their weight. Queries
 * read element 0, which is 1 for all other tokens. Keys read element 1, which is 1 only for the
 * first token. Both write what they read to the same component, which RoPE hardly rotates.
 */
function strongSink(logit: number): Map<string, Float32Array<ArrayBuffer>> {
  const parameters = new Map(
    listParameters(config).map((parameter) => {
      const values = initialValues(parameter, { seed: 5 });
      return [parameter.name, parameter.initial === "normal" ? values.map((x) => 5 * x) : values];
    }),
  );
  const { modelDim, headDim } = config;
  const embedding = parameters.get(EMBEDDING)!;
  for (let token = 0; token < config.vocabulary; token++) {
    const isFirst = token === FIRST;
    embedding[token * modelDim] = isFirst ? 0 : 1;
    embedding[token * modelDim + 1] = isFirst ? 1 : 0;
  }
  const names = layerParameterNames(0);
  // If one element dominates a row, RMSNorm scales that element to √d. Then query and key are both
  // size · √d, and the attention logit is size² · d / √headDim, which is `logit`.
  const size = Math.sqrt(logit * Math.sqrt(headDim) / modelDim);
  const row = headDim / 2 - 1;
  for (const [name, element] of [[names.query, 0], [names.key, 1]] as const) {
    parameters.get(name)!.fill(0, row * modelDim, (row + 1) * modelDim)[row * modelDim + element] =
      size;
  }
  return parameters;
}

const task: Task = {
  vocabulary: config.vocabulary,
  context,
  batch(step, { batch }): TokenBatch {
    const tokens = (shift: number) =>
      Uint32Array.from(
        { length: context * batch },
        (_, i) => ((i + shift) % context === 0 ? FIRST : ((i + shift) ** 2 + step + i) % FIRST),
      );
    return { batch, context, inputs: tokens(0), targets: tokens(1) };
  },
  oracleLoss: () => undefined,
  idleQueries: () => undefined,
};

/** The float64 twin's measurement. */
function twin(parameters: ReadonlyMap<string, Float32Array>): SinkMeasurement {
  const doubles = new Map(
    [...parameters].map(([name, values]) => [name, Float64Array.from(values)]),
  );
  const meter = new SinkMeter({ config, context });
  const batch = task.batch(0, { batch: 2 });
  const { trace, loss } = llamaGradients({ config, parameters: doubles, batch });
  meter.add(trace, { loss });
  return meter.result();
}

async function measured(
  gpu: Gpu,
  parameters: ReadonlyMap<string, Float32Array>,
  precisePosition?: number,
): Promise<SinkMeasurement> {
  const form = precisePosition === undefined ? {} : { precisePosition };
  using model = new Llama(gpu, {
    config,
    batch: 2,
    context,
    parameters,
    kernels: "start",
    ...form,
  });
  return await measureModel(model, { task, batches: 1, theory: true });
}

const keyOf = ({ layers }: SinkMeasurement): number => layers[0]!.attention!.gradients.key[0]!;
const floorOf = ({ layers }: SinkMeasurement): number => layers[0]!.attention!.keyGradientFloor!;

onEachRuntime(
  "measureModel() keeps the digits of a strong sink's key gradient in the precise form",
  async (gpu) => {
    const parameters = strongSink(17);
    const wanted = twin(parameters);
    const [head] = wanted.layers[0]!.attention!.heads;
    const rest = 1 - (head!.mass - 1) / (context - 1);
    assert(rest > 1e-7 && rest < 1e-5, `queries leave the others ${rest}`);
    const usual = await measured(gpu, parameters);
    const precise = await measured(gpu, parameters, 0);
    const error = (found: SinkMeasurement) => Math.abs(keyOf(found) / keyOf(wanted) - 1);
    console.log(`    off by ${error(usual)} in the usual form, ${error(precise)} in the precise`);
    assert(error(usual) > 3e-3, `the usual form is off by ${error(usual)} only`);
    assert(error(precise) < 1e-4, `the precise form is off by ${error(precise)}`);
    assertEquals([usual.precise, precise.precise], [undefined, true]);
    assert(floorOf(precise) < 1e-3 * floorOf(usual), `${floorOf(precise)}, ${floorOf(usual)}`);
    assertEquals(precise.theory?.errors, []);
  },
);

onEachRuntime(
  "measureModel() shows which gradients are below their rounding floor: none in the precise form",
  async (gpu) => {
    const parameters = strongSink(22);
    const usual = await measured(gpu, parameters);
    assert(keyOf(usual) < floorOf(usual), `${keyOf(usual)} is above ${floorOf(usual)}`);
    assert(/keys below its floor \(≤ /.test(formatSinkMeasurement(usual)));
    const precise = await measured(gpu, parameters, 0);
    assert(!formatSinkMeasurement(precise).includes("below its floor"));
    assert(Math.abs(keyOf(precise) / keyOf(twin(parameters)) - 1) < 1e-4);
  },
);

onEachRuntime("measureModel() refuses a precise form for another position", async (gpu) => {
  await assertRejects(
    () => measured(gpu, strongSink(17), 3),
    RangeError,
    "position is 0, wanted the 3 of the model's precise backward pass",
  );
});
