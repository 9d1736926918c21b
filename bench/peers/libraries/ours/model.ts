/**
 * A pretrained model's passes with this project's kernels; the weights are streamed from the disk.
 */
import type { Gpu } from "../../../../src/gpu/gpu.ts";
import { openWeights } from "../../../../src/model/pretrained/weights.ts";
import { StreamedLlama } from "../../../../src/model/streamed.ts";
import type { PreparedWork } from "../../peer.ts";
import type { Numbers, Work } from "../../works.ts";

/** Prepares a model's work on the given tokens. */
export async function prepareModel(
  gpu: Gpu,
  { pass, dimensions, folder }: Work,
  numbers: Numbers,
): Promise<PreparedWork> {
  const context = dimensions.T!;
  const backward = pass !== "forward";
  const source = await openWeights(folder!, { context });
  const model = new StreamedLlama(gpu, { source, batch: 1, context, backward });
  const batch = {
    inputs: Uint32Array.from(numbers.inputs!),
    targets: Uint32Array.from(numbers.targets!),
  };
  const found: Record<string, Float32Array<ArrayBuffer>> = {};
  const run = async (onLayer: Parameters<StreamedLlama["backward"]>[0]["onLayer"]) => {
    found.tokenLosses = Float32Array.from((await model.forward(batch)).tokenLosses);
    if (backward) await model.backward({ onLayer });
  };
  return {
    way: "layer by layer",
    run: () => run(() => {}),
    finish: () => gpu.sync(),
    async read() {
      // The gradients must be read before the next layer overwrites them.
      await run(async (layer, { gradients }) => {
        if (layer === 0) found.embeddedGradient = await gradients.input.read();
      });
      return found;
    },
  };
}
