/** The rounding floor of the key gradient: what the kernels' errors are, and when it counts. */
import { attentionBackward, attentionForward } from "../../../mod.ts";
import * as reference from "../../../src/reference/mod.ts";
import { attentionColumn } from "../../../src/sinks/attention_column.ts";
import { KeyGradientFloor } from "../../../src/sinks/meters/key_gradient_floor.ts";
import { assert } from "../../support/assert/assert.ts";
import { describeAttention, drawAttention, twinInputs } from "../../support/attention/cases.ts";
import { onEachRuntime } from "../../support/gpu.ts";
import { onGpu } from "../../support/on_gpu.ts";
import { distance, norm } from "../../support/vectors.ts";

onEachRuntime(
  "the key gradient's error at a strong sink is about its rounding floor",
  async (gpu) => {
    // Sums over heads and sequences, as the meter adds them up.
    const shape = { batch: 2, queryHeads: 4, keyValueHeads: 2, context: 69, headDim: 12 };
    const drawn = drawAttention(
      describeAttention({
        batch: 2,
        keyHeads: 2,
        group: 2,
        length: 69,
        headDim: 12,
        seed: 51,
        pattern: "strong sink",
      }),
    );
    const forward = await onGpu(gpu, attentionForward, drawn);
    const { output, logSumExp } = forward;
    const usual = await onGpu(gpu, attentionBackward, { ...drawn, ...forward });
    const inputs = twinInputs(drawn);
    const exact = reference.attentionBackward({ ...inputs, ...reference.attentionForward(inputs) });
    // The first key of each head, sequences added up.
    const ofFirst = (data: ArrayLike<number>) => {
      const sum = new Float64Array(2 * 12);
      for (let head = 0; head < 4; head++) {
        for (let i = 0; i < 12; i++) sum[(head % 2) * 12 + i]! += data[head * 69 * 12 + i]!;
      }
      return sum;
    };
    const meter = new KeyGradientFloor(0);
    const states = {
      query: drawn.query.data,
      key: drawn.key.data,
      logSumExp: logSumExp.data,
    };
    meter.add({
      column: attentionColumn(states, { shape, position: 0 }),
      query: drawn.query.data,
      value: drawn.value.data,
      output: output.data,
      outputGradient: drawn.outputGradient.data,
    }, shape);
    const floor = meter.result();
    const wanted = ofFirst(exact.keyGradient.data);
    const error = distance(ofFirst(usual.keyGradient.data), wanted);
    console.log(`    error ${error}, floor ${floor}, gradient ${norm(wanted)}`);
    assert(error < 1.5 * floor, `the error ${error} is above the floor ${floor}`);
    assert(error > 0.05 * floor, `the floor ${floor} is far above the error ${error}`);
  },
);

Deno.test("an ordinary gradient is far above its floor, in float64 farther than in float32", () => {
  const drawn = drawAttention(
    describeAttention({ keyHeads: 1, group: 2, length: 40, headDim: 12, seed: 52 }),
  );
  const shape = { batch: 1, queryHeads: 2, keyValueHeads: 1, context: 40, headDim: 12 };
  const inputs = twinInputs(drawn);
  const forward = reference.attentionForward(inputs);
  const { keyGradient } = reference.attentionBackward({ ...inputs, ...forward });
  const floor = (numbers: (data: Float64Array) => Float32Array | Float64Array) => {
    const meter = new KeyGradientFloor(0);
    const states = {
      query: numbers(inputs.query.data),
      key: numbers(inputs.key.data),
      logSumExp: numbers(forward.logSumExp.data),
    };
    meter.add({
      column: attentionColumn(states, { shape, position: 0 }),
      query: states.query,
      value: numbers(inputs.value.data),
      output: numbers(forward.output.data),
      outputGradient: numbers(inputs.outputGradient.data),
    }, shape);
    return meter.result();
  };
  const single = floor((data) => Float32Array.from(data)), double = floor((data) => data);
  const gradient = norm(keyGradient.data.subarray(0, 12));
  assert(single < 1e-5 * gradient, `floor ${single}, gradient ${gradient}`);
  assert(Math.abs(single / double / 2 ** 29 - 1) < 1e-3, `${single} and ${double}`);
});
