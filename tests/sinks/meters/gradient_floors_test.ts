/**
 * Compares rounding floors, which estimate the rounding errors of key and query gradients, with the
 * kernels' real errors.
 */
import {
  attentionBackward,
  type AttentionBackwardOptions,
  attentionForward,
} from "../../../mod.ts";
import type { Gpu } from "../../../mod.ts";
import * as reference from "../../../src/reference/mod.ts";
import { attentionColumn } from "../../../src/sinks/attention_column.ts";
import { GradientFloors } from "../../../src/sinks/meters/gradient_floors.ts";
import type { Numbers } from "../../../src/sinks/numbers.ts";
import { assert } from "../../support/assert/assert.ts";
import {
  type AttentionDescription,
  describeAttention,
  drawAttention,
  twinInputs,
} from "../../support/attention/cases.ts";
import { onEachRuntime } from "../../support/gpu.ts";
import { onGpu } from "../../support/on_gpu.ts";
import { distance, norm } from "../../support/vectors.ts";

const lengths = { batch: 2, keyHeads: 2, group: 2, length: 40, headDim: 12 };
const shape = { batch: 2, queryHeads: 4, keyValueHeads: 2, context: 40, headDim: 12 };

/** A gradient's rows at a position, for all heads, summed over sequences as in `GradientMeter`. */
function rowsAt(data: ArrayLike<number>, heads: number, position: number): Float64Array {
  const { batch, context, headDim } = shape;
  const sum = new Float64Array(heads * headDim);
  for (let head = 0; head < batch * heads; head++) {
    for (let i = 0; i < headDim; i++) {
      sum[(head % heads) * headDim + i]! += data[(head * context + position) * headDim + i]!;
    }
  }
  return sum;
}

interface Found {
  readonly error: number;
  readonly floor: number;
  readonly gradient: number;
}

async function compare(
  gpu: Gpu,
  description: Partial<AttentionDescription>,
  { position, precise }: { readonly position: number; readonly precise: boolean },
): Promise<{ readonly key: Found; readonly query: Found }> {
  const drawn = drawAttention(
    describeAttention({ ...lengths, pattern: "strong sink", ...description }),
  );
  const forward = await onGpu(gpu, attentionForward, drawn);
  const actual = await onGpu(
    gpu,
    (gpu, options: AttentionBackwardOptions) =>
      attentionBackward(gpu, { ...options, precise: precise && { position } }),
    { ...drawn, ...forward },
  );
  const inputs = twinInputs(drawn);
  const exact = reference.attentionBackward({ ...inputs, ...reference.attentionForward(inputs) });
  const states = {
    query: drawn.query.data,
    key: drawn.key.data,
    value: drawn.value.data,
    output: forward.output.data,
    logSumExp: forward.logSumExp.data,
    outputGradient: drawn.outputGradient.data,
  };
  const sinkLogits = drawn.sinkLogit && [...drawn.sinkLogit.data];
  const floors = new GradientFloors({ position, sinkLogits, precise });
  floors.add({ ...states, column: attentionColumn(states, { shape, position }) }, shape);
  const found = (name: "keyGradient" | "queryGradient", heads: number, floor: number): Found => {
    const wanted = rowsAt(exact[name].data, heads, position);
    const error = distance(rowsAt(actual[name].data, heads, position), wanted);
    return { error, floor, gradient: norm(wanted) };
  };
  return {
    key: found("keyGradient", shape.keyValueHeads, floors.key),
    query: found("queryGradient", shape.queryHeads, floors.query),
  };
}

function checkError(what: string, { error, floor, gradient }: Found): void {
  console.log(`    ${what}: error ${error}, floor ${floor}, gradient ${gradient}`);
  assert(error < 1.5 * floor, `${what}: the error ${error} is above the floor ${floor}`);
  assert(error > 0.05 * floor, `${what}: the floor ${floor} is far above the error ${error}`);
}

onEachRuntime(
  "the gradients' errors at a strong sink are close to their rounding floors",
  async (gpu) => {
    const first = await compare(gpu, { seed: 51 }, { position: 0, precise: false });
    checkError("key 0", first.key);
    const later = await compare(gpu, { seed: 51 }, { position: 20, precise: false });
    checkError("query 20", later.query);
    const sink = { size: "usual" as const, logSumExpGradient: false };
    const beside = await compare(gpu, { seed: 53, sink }, { position: 0, precise: false });
    checkError("key 0 beside a learned sink", beside.key);
    checkError("query 0 beside a learned sink", beside.query);
  },
);

onEachRuntime("the precise form lowers the gradients' errors and their floors", async (gpu) => {
  for (const sink of [undefined, { size: "usual" as const, logSumExpGradient: false }]) {
    const description = { seed: 54, sink };
    const usual = await compare(gpu, description, { position: 0, precise: false });
    const precise = await compare(gpu, description, { position: 0, precise: true });
    const { error, floor, gradient } = precise.key;
    console.log(
      `    error ${error}, floor ${floor}, usual ${usual.key.floor}, gradient ${gradient}`,
    );
    assert(floor < 1e-3 * usual.key.floor, `floor ${floor}, usual ${usual.key.floor}`);
    // exp and logSumExp have rounding errors, so the weights have relative errors. These add an
    // error that is proportional to the gradient.
    assert(error < 1.5 * floor + 1e-5 * gradient, `error ${error}, floor ${floor}`);
    assert(error < 1e-4 * gradient && floor < gradient, `error ${error}, gradient ${gradient}`);
  }
});

Deno.test("ordinary gradients are far above their floors, even farther in float64 than in float32", () => {
  const drawn = drawAttention(describeAttention({ ...lengths, seed: 52 }));
  const inputs = twinInputs(drawn);
  const forward = reference.attentionForward(inputs);
  const gradients = reference.attentionBackward({ ...inputs, ...forward });
  const position = 20;
  const floorsOf = (numbers: (data: Float64Array) => Numbers) => {
    const states = {
      query: numbers(inputs.query.data),
      key: numbers(inputs.key.data),
      value: numbers(inputs.value.data),
      output: numbers(forward.output.data),
      logSumExp: numbers(forward.logSumExp.data),
      outputGradient: numbers(inputs.outputGradient.data),
    };
    const floors = new GradientFloors({ position });
    floors.add({ ...states, column: attentionColumn(states, { shape, position }) }, shape);
    return floors;
  };
  const single = floorsOf((data) => Float32Array.from(data)), double = floorsOf((data) => data);
  const key = norm(rowsAt(gradients.keyGradient.data, shape.keyValueHeads, position));
  const query = norm(rowsAt(gradients.queryGradient.data, shape.queryHeads, position));
  assert(single.key < 1e-5 * key, `floor ${single.key}, gradient ${key}`);
  assert(single.query < 1e-5 * query, `floor ${single.query}, gradient ${query}`);
  for (const path of ["key", "query"] as const) {
    const ratio = single[path] / double[path] / 2 ** 29;
    assert(Math.abs(ratio - 1) < 1e-3, `${path}: ${single[path]} and ${double[path]}`);
  }
});
