/**
 * The end of a model on the GPU: the final norm, the head, the loss, and the backward pass to the
 * last hidden state.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { planAccumulate } from "../../ops/arithmetic/add.ts";
import { type CopyOptions, planCopy } from "../../ops/arithmetic/copy.ts";
import {
  planCrossEntropyBackward,
  planCrossEntropyForward,
} from "../../ops/model/cross_entropy.ts";
import { planRmsNormForward } from "../../ops/rms_norm.ts";
import { EMBEDDING, FINAL_NORM, HEAD } from "../../reference/llama/parameters.ts";
import { gradientOf, type LlamaBuild, parameterOf, product, rowsOf } from "./build.ts";
import { planNormBackward } from "./layer.ts";

/** The plans of a model's end. */
export interface HeadPlans {
  /** The plans of the losses alone. */
  readonly forward: readonly Plan[];
  /** The plans of the losses and the gradients. */
  readonly train: readonly Plan[];
  /** Each token's loss, in nats: [B · T]. */
  readonly tokenLosses: Tensor;
  /** The loss's gradient with respect to the last hidden state: [B, T, d]. */
  readonly inputGradient: Tensor;
  /**
   * The loss's gradient with respect to the head's matrix: [V, d]. With a tied head, the caller
   * adds it to the embedding's gradient.
   */
  readonly headGradient: Tensor;
}

/** The most bytes of logits in memory at a time. More logits are computed in chunks of rows. */
export const LOGITS_BYTES: number = 2 ** 27;

/**
 * The number of rows in a chunk of logits: the largest that fits a buffer and `LOGITS_BYTES`, and
 * divides the number of all rows.
 *
 * @param rows B · T
 * @param vocabulary the vocabulary's size, V
 * @throws {RangeError} if a buffer cannot hold even one row
 */
export function headChunkRows(gpu: Gpu, rows: number, vocabulary: number): number {
  const most = Math.floor(Math.min(gpu.largestStorage, LOGITS_BYTES) / (4 * vocabulary));
  if (most < 1) {
    throw new RangeError(`Llama: this adapter has no buffer for ${vocabulary} logits`);
  }
  let chunks = Math.ceil(rows / most);
  while (rows % chunks !== 0) chunks++;
  return rows / chunks;
}

/** The plans from the final norm's output to the losses, for as many rows as a chunk has. */
interface Chunk {
  readonly plans: readonly Plan[];
  /** [rows, d] */
  readonly norm: Tensor;
  /** [rows] */
  readonly targets: Tensor;
  /** [rows, V] */
  readonly logits: Tensor;
  /** [rows] */
  readonly logSumExp: Tensor;
  /** [rows] */
  readonly loss: Tensor;
}

/** The forward part of a model's end. */
interface Losses {
  /** All plans of the forward part, in order. */
  readonly forward: readonly Plan[];
  /** In nats: [B · T]. */
  readonly tokenLosses: Tensor;
  /** The plans of the final norm. */
  readonly start: readonly Plan[];
  /** [B, T, d] */
  readonly norm: Tensor;
  readonly inverseRms: Tensor;
  readonly chunk: Chunk;
  /** For each chunk of rows: its first row, and the plans from the norm's output to its losses. */
  readonly chunks: readonly { readonly first: number; readonly plans: readonly Plan[] }[];
}

/** Plans the forward pass from the last hidden state, [B, T, d], to every token's loss. */
export function planLosses(
  build: LlamaBuild,
  { input, targets }: { readonly input: Tensor; readonly targets: Tensor },
): Losses {
  const { workspace, config, batch, context } = build;
  const { gpu } = workspace;
  const { modelDim } = config;
  const rows = batch * context;
  const chunkRows = headChunkRows(gpu, rows, config.vocabulary);
  const start: Plan[] = [];
  const { output: norm, inverseRms } = workspace.add(
    start,
    planRmsNormForward(gpu, {
      input,
      gain: parameterOf(build, FINAL_NORM),
      epsilon: config.normEpsilon,
    }),
  );
  if (chunkRows === rows) {
    const chunk = planChunk(build, { norm: rowsOf(build, norm), targets });
    const forward = [...start, ...chunk.plans];
    const chunks = [{ first: 0, plans: chunk.plans }];
    return { forward, tokenLosses: chunk.loss, start, norm, inverseRms, chunk, chunks };
  }
  const chunk = planChunk(build, {
    norm: workspace.keep(gpu.empty([chunkRows, modelDim])),
    targets: workspace.keep(gpu.empty([chunkRows])),
  });
  const tokenLosses = workspace.keep(gpu.empty([rows]));
  const chunks = Array.from({ length: rows / chunkRows }, (_, i) => {
    const first = i * chunkRows;
    return {
      first,
      plans: [
        copy(build, { source: norm, sourceStart: first * modelDim, copied: chunk.norm }),
        copy(build, { source: targets, sourceStart: first, copied: chunk.targets }),
        ...chunk.plans,
        copy(build, { source: chunk.loss, copied: tokenLosses, copiedStart: first }),
      ],
    };
  });
  const forward = [...start, ...chunks.flatMap(({ plans }) => plans)];
  return { forward, tokenLosses, start, norm, inverseRms, chunk, chunks };
}

function copy({ workspace }: LlamaBuild, options: CopyOptions): Plan {
  return workspace.keep(planCopy(workspace.gpu, options).plan);
}

function headName({ config }: LlamaBuild): string {
  return config.tiedHead ? EMBEDDING : HEAD;
}

function planChunk(
  build: LlamaBuild,
  { norm, targets }: { readonly norm: Tensor; readonly targets: Tensor },
): Chunk {
  const { workspace } = build;
  const plans: Plan[] = [];
  const logits = product(build, plans, {
    left: norm,
    right: parameterOf(build, headName(build)),
    transposeRight: true,
  });
  const { loss, logSumExp } = workspace.add(
    plans,
    planCrossEntropyForward(workspace.gpu, { logits, targets }),
  );
  return { plans, norm, targets, logits, logSumExp, loss };
}

/**
 * Plans the end of a model: the losses, and the backward pass to the last hidden state.
 *
 * @param options `input`: the last hidden state [B, T, d]; `targets`: [B · T]; `factor`: each
 *   token's weight in the mean loss
 */
export function planHead(
  build: LlamaBuild,
  { input, targets, factor }: {
    readonly input: Tensor;
    readonly targets: Tensor;
    readonly factor: number;
  },
): HeadPlans {
  const { workspace, config } = build;
  const { gpu } = workspace;
  const { modelDim } = config;
  const headGradient = config.tiedHead
    ? workspace.keep(gpu.empty([config.vocabulary, modelDim]))
    : gradientOf(build, HEAD);
  const { forward, tokenLosses, start, norm, inverseRms, chunk, chunks } = planLosses(build, {
    input,
    targets,
  });
  const whole = chunks.length === 1;
  const backward = planChunkBackward(build, {
    chunk,
    factor,
    headGradient: whole ? headGradient : workspace.keep(gpu.empty(headGradient.shape)),
  });
  const normGradient = whole ? backward.normGradient : workspace.keep(gpu.empty(norm.shape));
  const train = [...start];
  for (const { first, plans } of chunks) {
    train.push(...plans, ...backward.plans);
    if (whole) continue;
    const source = backward.normGradient;
    train.push(copy(build, { source, copied: normGradient, copiedStart: first * modelDim }));
    const term = backward.headGradient;
    if (first === 0) train.push(copy(build, { source: term, copied: headGradient }));
    else workspace.add(train, planAccumulate(gpu, { term, total: headGradient }));
  }
  const inputGradient = planNormBackward(build, train, {
    name: FINAL_NORM,
    input,
    inverseRms,
    outputGradient: workspace.view(normGradient, input.shape),
    residualGradient: undefined,
  });
  return { forward, train, tokenLosses, inputGradient, headGradient };
}

function planChunkBackward(
  build: LlamaBuild,
  { chunk: { norm, targets, logits, logSumExp }, factor, headGradient }: {
    readonly chunk: Chunk;
    readonly factor: number;
    readonly headGradient: Tensor;
  },
): {
  readonly plans: readonly Plan[];
  readonly normGradient: Tensor;
  readonly headGradient: Tensor;
} {
  const { workspace } = build;
  const plans: Plan[] = [];
  const { logitsGradient } = workspace.add(
    plans,
    planCrossEntropyBackward(workspace.gpu, { logits, targets, logSumExp, factor }),
  );
  const normGradient = product(build, plans, {
    left: logitsGradient,
    right: parameterOf(build, headName(build)),
  });
  product(build, plans, {
    left: logitsGradient,
    right: norm,
    transposeLeft: true,
    product: headGradient,
  });
  return { plans, normGradient, headGradient };
}
