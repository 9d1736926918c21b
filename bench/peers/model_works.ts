/** A pretrained model's passes as works, and the parts of their answers to compare. */
import { readArchitecture } from "../../src/model/pretrained/weights.ts";
import { UsageError } from "../../src/cli/shared/arguments.ts";
import type { Stretch } from "./protocol.ts";
import type { Work } from "./works.ts";

/** The default number of tokens of a model's input. */
export const MODEL_CONTEXT = 128;

/**
 * The largest difference of two answers that counts as agreement, relative to a row's largest
 * number. All answers are float32, rounded in every layer. Over SmolLM2-135M's 30 layers PyTorch
 * differs from this project by 9e-6 in losses and 3e-4 in gradients.
 */
export const MODEL_TOLERANCE = 3e-3;

/**
 * A model's two works: its forward pass alone, and its forward and backward passes together.
 *
 * @param folder in Hugging Face's layout
 * @param context T, as on the command line
 * @throws {UsageError} if the model does not accept this context
 * @throws {CheckpointError} if the folder holds no model that gradsink computes
 */
export async function readModelWorks(
  folder: string,
  context: string = String(MODEL_CONTEXT),
): Promise<Work[]> {
  const T = Number(context);
  const { config, positions } = await readArchitecture(folder, { context: T });
  if (!Number.isSafeInteger(T) || T < 1 || T > positions) {
    throw new UsageError(
      `--context is ${JSON.stringify(context)}, wanted a whole number from 1 to ${positions}`,
    );
  }
  const dimensions = { T, V: config.vocabulary, d: config.modelDim };
  return (["forward", "forward+backward"] as const)
    .map((pass) => ({ name: `model-${pass}-t${T}`, operator: "model", pass, dimensions, folder }));
}

/**
 * The stretches of a model's results to compare. One stretch has the losses of all tokens. With a
 * backward pass, one more stretch per token has the gradient with respect to its embedding.
 */
export function modelStretches({ pass, dimensions }: Work): Stretch[] {
  const { T, d } = dimensions as { T: number; d: number };
  const losses = { output: "tokenLosses", start: 0, length: T };
  if (pass === "forward") return [losses];
  const gradients = Array.from(
    { length: T },
    (_, t) => ({ output: "embeddedGradient", start: t * d, length: d }),
  );
  return [losses, ...gradients];
}
