/** Finds the first tensor with a NaN or infinity. */
import type { Tensor } from "../../gpu/tensor.ts";
import type { Trace } from "../../reference/llama/trace.ts";
import type { Trainer, TrainerState } from "./trainer.ts";

/**
 * Repeats training up to a bad step, which gives the same bits, and checks the tensors of that step
 * in the order of computation.
 *
 * @param trainer the run's trainer, which loses its state
 * @param options `from`: the checkpoint to start from, undefined to start before the first step;
 *   `step`: the bad step, counted from 0
 * @returns a text that names the tensor, or says that none was found
 */
export async function findNonFinite(
  trainer: Trainer,
  { from, step }: { readonly from: TrainerState | undefined; readonly step: number },
): Promise<string> {
  trainer.restore(from);
  while (trainer.step < step) {
    await trainer.computeGradients();
    trainer.update();
    // Wait, because enqueued work takes memory.
    if (trainer.step % 16 === 0) await trainer.optimizer.clipping.read();
  }
  const { model, optimizer } = trainer;
  const before = await firstBad(namedParameters("", model.parameters));
  if (before !== undefined) return before;
  let found: string | undefined;
  await trainer.computeGradients({
    onMicroBatch: async () => {
      found ??= await firstBad([
        ...states(model.trace),
        ["the loss", model.tokenLosses],
        ...gradientStates(model.trace),
      ]);
    },
  });
  found ??= await firstBad(namedParameters("the gradient of ", model.gradients));
  if (found !== undefined) return found;
  trainer.update();
  const [norm] = await optimizer.clipping.read();
  if (!Number.isFinite(norm)) return `the gradient's norm is ${norm}`;
  return "a number that is not finite came up, and did not when the step was repeated: " +
    "this adapter does not compute the same twice";
}

type Named = readonly [name: string, tensor: Tensor];

function namedParameters(prefix: string, tensors: ReadonlyMap<string, Tensor>): Named[] {
  return [...tensors].map(([name, tensor]) => [prefix + name, tensor]);
}

/** The states and their names, in the order of the forward pass. */
function states({ layers }: Trace<Tensor>): Named[] {
  return layers.flatMap((layer, index): Named[] => {
    const { attention } = layer;
    const named = (name: string, tensor: Tensor): Named => [`layer ${index}'s ${name}`, tensor];
    return [
      named("input", layer.input),
      ...attention === undefined ? [] : [
        named("attention norm", attention.norm),
        named("query", attention.query),
        named("key", attention.key),
        named("value", attention.value),
        named("attention output", attention.output),
        named("attention residual", attention.residual),
      ],
      named("half-way state", layer.half),
      named("MLP norm", layer.mlpNorm),
      named("MLP residual", layer.mlpResidual),
      named("output", layer.output),
    ];
  });
}

/** The states' gradients and their names, in the order of the backward pass. */
function gradientStates({ layers }: Trace<Tensor>): Named[] {
  return layers.map(({ attention, gradients }, index): Named[] => {
    const named = (name: string, tensor: Tensor): Named => [
      `the gradient of layer ${index}'s ${name}`,
      tensor,
    ];
    return [
      named("output", gradients.output),
      named("MLP norm", gradients.mlpNorm),
      named("half-way state", gradients.half),
      ...attention === undefined ? [] : [
        named("attention output", attention.gradients.output),
        named("value", attention.gradients.value),
        named("key", attention.gradients.key),
        named("query", attention.gradients.query),
        named("attention norm", attention.gradients.norm),
      ],
      named("input", gradients.input),
    ];
  }).reverse().flat();
}

/** Copies one tensor at a time. */
async function firstBad(tensors: readonly Named[]): Promise<string | undefined> {
  for (const [name, tensor] of tensors) {
    const bad = (await tensor.read()).find((value) => !Number.isFinite(value));
    if (bad !== undefined) return `${name} holds ${bad}`;
  }
  return undefined;
}
