import { attentionBackward } from "../../../mod.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { onEachRuntime } from "../../support/gpu.ts";
import {
  preciseBackwardKeepsFourDigits,
  preciseBackwardMatchesTwin,
} from "../../support/properties/attention/precise.ts";

onEachRuntime(
  "attentionBackward() in its precise form agrees with the twin",
  preciseBackwardMatchesTwin,
);
onEachRuntime(
  "attentionBackward() in its precise form keeps four digits at strong sinks",
  preciseBackwardKeepsFourDigits,
);

onEachRuntime("attentionBackward() refuses a position outside the sequence", async (gpu) => {
  using rows = gpu.tensor(new Float32Array(12).fill(1), [1, 1, 3, 4]);
  using logSumExp = gpu.tensor([0, 0, 0], [1, 1, 3]);
  const inputs = { query: rows, key: rows, value: rows, output: rows, logSumExp };
  const call = (precise: unknown) => () =>
    attentionBackward(gpu, { ...inputs, outputGradient: rows, precise: precise as never });
  const from = "wanted an integer from 0 to 2";
  assertThrows(call({ position: 3 }), RangeError, `precise.position is 3, ${from}`);
  assertThrows(call({ position: "1" }), TypeError, `precise.position is "1", ${from}`);
  assertThrows(call(1), TypeError, "precise is 1, wanted true, false or { position }");
  await gpu.sync();
  assertEquals(gpu.memory.buffers, 2);
});
