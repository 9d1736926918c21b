/** The twin agrees with Hugging Face's transformers on a checkpoint of each family. */
import { openWeights } from "../../../src/model/pretrained/weights.ts";
import { llamaGradients } from "../../../src/reference/llama.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";
import {
  BATCH,
  CONTEXT,
  FAMILIES,
  familyFolder,
  readExpected,
  relativeDistance,
  traceEntries,
} from "../../support/pretrained/families.ts";

const test = testWith("read");

/**
 * The twin and transformers compute in float64, but transformers computes RoPE's frequencies and
 * angles in float32: for angles up to 5 radians that is an error of 3e-7. The fixtures store
 * float32, which rounds by 6e-8. The largest difference measured is 3e-7.
 */
const TOLERANCE = 1e-6;

for (const name of FAMILIES) {
  test(`llamaGradients() agrees with transformers in every state and gradient: ${name}`, async () => {
    using weights = await openWeights(familyFolder(name));
    const { config } = weights.architecture;
    const parameters = new Map<string, Float64Array>();
    for (const parameter of weights.shapes.keys()) {
      parameters.set(parameter, Float64Array.from(await weights.read(parameter)));
    }
    const expected = await readExpected(name);
    const { loss, logits, trace } = llamaGradients({
      config,
      parameters,
      batch: { batch: BATCH, context: CONTEXT, ...expected.batch },
    });
    assert(Math.abs(loss / expected.loss - 1) < TOLERANCE, `${loss} against ${expected.loss}`);
    const close = (what: string, found: Float64Array, wanted: Float32Array) => {
      const distance = relativeDistance(found, wanted);
      assert(distance < TOLERANCE, `${what}: off by ${distance}`);
    };
    close("logits", logits, expected.logits);
    close("final state", trace.layers.at(-1)!.output, expected.final);
    assertEquals(trace.layers.length, config.layers);
    trace.layers.forEach((layer, index) => {
      const wanted = expected.layer(index);
      const found = traceEntries(layer);
      assertEquals(found.map(([key]) => key).sort(), [...wanted.keys()].sort());
      for (const [key, numbers] of found) {
        close(`layer ${index} ${key}`, numbers, wanted.get(key)!);
      }
    });
  });
}
