import { fileURLToPath } from "node:url";
import { readModel } from "../../../src/model/checkpoint.ts";
import { readSafetensors } from "../../../src/model/checkpoint/safetensors.ts";
import { llamaGradients } from "../../../src/reference/llama.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read");

const fixtures = new URL("../../../fixtures/llama-pytorch/", import.meta.url);

for (const name of ["plain", "learned", "backward-only", "fixed"]) {
  test(`llamaGradients() agrees with PyTorch's autograd: ${name}`, async () => {
    const folder = fileURLToPath(new URL(`${name}/`, fixtures));
    const { config, context, parameters } = await readModel(folder);
    const expected = await readSafetensors(`${folder}expected.safetensors`);
    const numbers = (tensor: string) => expected.get(tensor)!.data;
    const { loss, gradients } = llamaGradients({
      config,
      parameters: new Map([...parameters].map(([key, each]) => [key, Float64Array.from(each)])),
      batch: { batch: 2, context, inputs: numbers("inputs"), targets: numbers("targets") },
    });
    // The twin and PyTorch compute in float64. The fixture stores float32, which rounds by 6e-8.
    const [wanted] = numbers("loss");
    assert(Math.abs(loss / wanted! - 1) < 1e-7, `${loss} against ${wanted}`);
    assertEquals(
      [...gradients.keys(), "loss", "inputs", "targets"].sort(),
      [...expected.keys()].sort(),
    );
    for (const [parameter, gradient] of gradients) {
      const stored = numbers(parameter);
      assertEquals(gradient.length, stored.length);
      const size = Math.hypot(...stored);
      const distance = Math.hypot(...gradient.map((value, i) => value - stored[i]!));
      assert(size > 1e-6, `${parameter}: a gradient of ${size} shows nothing`);
      assert(distance < 1e-7 * size, `${parameter}: off by ${distance / size}`);
    }
  });
}
