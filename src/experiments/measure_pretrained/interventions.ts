/**
 * Measures the loss of a pretrained model whose massive activations are replaced by zero or by
 * their mean, right after the layer where they first appear. For comparison, it also measures the
 * loss if ordinary elements of the same tokens are set to zero instead.
 *
 * Source: Sun et al., Massive Activations in Large Language Models, arXiv 2402.17762, section 3.
 */
import type { Tensor } from "../../gpu/tensor.ts";
import type { StreamedLlama } from "../../model/streamed.ts";
import { meanInterval } from "../../sinks/pretrained/mean_interval.ts";
import type { Intervention } from "../../sinks/pretrained/measurement.ts";
import type { LargeActivation } from "../../sinks/states/measurement.ts";
import type { TokenBatch } from "../tasks/task.ts";
import { sequenceLosses } from "../measure_model.ts";
import { mean } from "../../statistics/mean.ts";

/** Options of {@linkcode measureInterventions}. */
export interface InterventionOptions {
  readonly batches: readonly TokenBatch[];
  /**
   * The layer where massive elements first appear, and all texts' massive elements in its output.
   */
  readonly massive: { readonly layer: number; readonly values: readonly LargeActivation[] };
  /** Every text's loss in the unchanged model. */
  readonly losses: readonly number[];
  /** Called before each layer's forward pass. */
  readonly onLayer?: (() => void) | undefined;
}

type Kind = Pick<Intervention, "values" | "replaced">;

/** The interventions of {@linkcode measureInterventions}, in order. */
export const INTERVENTIONS: readonly Kind[] = [
  { values: "massive", replaced: "zero" },
  { values: "massive", replaced: "mean" },
  { values: "ordinary", replaced: "zero" },
];

/**
 * Measures the loss after each intervention.
 *
 * @param options the texts, the elements, and the losses without an intervention
 * @throws {CheckpointError} if the weights cannot be read
 * @throws {GpuError} if the GPU fails
 */
export async function measureInterventions(
  model: StreamedLlama,
  { batches, massive: { layer, values }, losses, onLayer }: InterventionOptions,
): Promise<Intervention[]> {
  const means = meansOf(values);
  const found = INTERVENTIONS.map((): number[] => []);
  for (const [index, batch] of batches.entries()) {
    const first = index * model.batch;
    const own = values.filter(({ sequence }) => sequence >= first && sequence < first + model.batch)
      .map((each) => ({ ...each, sequence: each.sequence - first }));
    for (const [i, kind] of INTERVENTIONS.entries()) {
      const { tokenLosses } = await model.forward(batch, {
        // No intervention changes the input of `layer`. So only the first intervention runs the
        // layers before it, and the other interventions start from the same input.
        firstLayer: i === 0 ? 0 : layer,
        onLayerStart: () => onLayer?.(),
        onOutput: async (at, output) => {
          if (at === layer && own.length > 0) await replace(output, { own, kind, means });
        },
      });
      found[i]!.push(...sequenceLosses(tokenLosses, model.context));
    }
  }
  const distinct = (numbers: readonly number[]) => [...new Set(numbers)].sort((a, b) => a - b);
  return INTERVENTIONS.map((kind, i): Intervention => {
    const differences = found[i]!.map((loss, text) => loss - losses[text]!);
    return {
      ...kind,
      layer,
      dimensions: distinct(values.map(({ dimension }) => dimension)),
      positions: distinct(values.map(({ position }) => position)),
      elements: values.length,
      texts: new Set(values.map(({ sequence }) => sequence)).size,
      loss: mean(found[i]!),
      difference: mean(differences),
      interval: meanInterval(differences),
    };
  });
}

/**
 * Names the group of a massive element; the group's mean replaces the element. For each dimension,
 * the massive elements at first tokens form one group and those at later tokens another, because
 * the two differ in size.
 */
function groupOf({ dimension, position }: LargeActivation): string {
  return `${dimension} ${position === 0}`;
}

/** The groups' means over all texts. */
function meansOf(values: readonly LargeActivation[]): ReadonlyMap<string, number> {
  const groups = Map.groupBy(values, groupOf);
  return new Map(
    [...groups].map(([group, members]) => [
      group,
      members.reduce((sum, { value }) => sum + value, 0) / members.length,
    ]),
  );
}

async function replace(
  output: Tensor,
  { own, kind, means }: {
    readonly own: readonly LargeActivation[];
    readonly kind: Kind;
    readonly means: ReadonlyMap<string, number>;
  },
): Promise<void> {
  const [, context, width] = output.shape as [number, number, number];
  const states = await output.read();
  const start = ({ sequence, position }: LargeActivation) =>
    (sequence * context + position) * width;
  if (kind.values === "massive") {
    for (const each of own) {
      states[start(each) + each.dimension] = kind.replaced === "zero"
        ? 0
        : means.get(groupOf(each))!;
    }
  } else {
    for (const members of Map.groupBy(own, start).values()) {
      const token = states.subarray(start(members[0]!), start(members[0]!) + width);
      for (const dimension of ordinary(token, members.length)) token[dimension] = 0;
    }
  }
  output.write(states);
}

/** The `count` dimensions whose magnitudes are nearest in rank to the token's median magnitude. */
function ordinary(token: Float32Array, count: number): number[] {
  const order = [...token.keys()].sort((a, b) => Math.abs(token[a]!) - Math.abs(token[b]!));
  const first = Math.max(0, Math.floor((order.length - count) / 2));
  return order.slice(first, first + count);
}
