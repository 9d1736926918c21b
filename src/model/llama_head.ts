/** The end of a model on the GPU: the final norm, the head, the loss, and the way back to the last hidden state. */
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { planAccumulate } from "../ops/add.ts";
import { planCopy } from "../ops/copy.ts";
import { planCrossEntropyBackward, planCrossEntropyForward } from "../ops/cross_entropy.ts";
import { planRmsNormForward } from "../ops/rms_norm.ts";
import { gradientOf, type LlamaBuild, parameterOf, product, rowsOf } from "./llama_build.ts";
import { planNormBackward } from "./llama_layer.ts";
import { EMBEDDING, FINAL_NORM, HEAD } from "./parameters.ts";

/** The plans of a model's end. */
export interface HeadPlans {
  /** The losses alone. */
  readonly forward: readonly Plan[];
  /** The losses, and the gradients. */
  readonly train: readonly Plan[];
  /** In nats: [B · T]. */
  readonly tokenLosses: Tensor;
  /** The loss's gradient by the last hidden state: [B, T, d]. */
  readonly inputGradient: Tensor;
  /** The loss's gradient by the head's matrix, with a tied head not yet in its place: [V, d]. */
  readonly headGradient: Tensor;
}

/** The most bytes of logits at a time; the rows are worked through in chunks where there are more. */
const LOGITS_BYTES = 2 ** 27;

/**
 * How many rows of logits are computed at a time: the most that a buffer holds and that divide all rows.
 *
 * @param gpu where
 * @param rows B · T
 * @param vocabulary V
 * @throws {RangeError} if a buffer does not even hold one row
 */
export function headChunkRows(gpu: Gpu, rows: number, vocabulary: number): number {
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.device.limits;
  const most = Math.floor(
    Math.min(maxBufferSize, maxStorageBufferBindingSize, LOGITS_BYTES) / (4 * vocabulary),
  );
  if (most < 1) {
    throw new RangeError(`Llama: this adapter has no buffer for ${vocabulary} logits`);
  }
  let chunks = Math.ceil(rows / most);
  while (rows % chunks !== 0) chunks++;
  return rows / chunks;
}

/**
 * Plans the end of a model. The logits are worked through in chunks of rows where a buffer does not hold all of them, so
 * that a large vocabulary costs time and not memory.
 *
 * @param build the model
 * @param options the last hidden state [B, T, d], the targets [B · T], and what each token's loss is multiplied by in
 *   the whole loss
 */
export function planHead(
  build: LlamaBuild,
  { input, targets, factor }: {
    readonly input: Tensor;
    readonly targets: Tensor;
    readonly factor: number;
  },
): HeadPlans {
  const { workspace, config, batch, context } = build;
  const { gpu } = workspace;
  const rows = batch * context;
  const chunkRows = headChunkRows(gpu, rows, config.vocabulary);
  const headGradient = config.tiedHead
    ? workspace.keep(gpu.empty([config.vocabulary, config.modelDim]))
    : gradientOf(build, HEAD);
  const start: Plan[] = [];
  const { output: norm, inverseRms } = workspace.add(
    start,
    planRmsNormForward(gpu, {
      input,
      gain: parameterOf(build, FINAL_NORM),
      epsilon: config.normEpsilon,
    }),
  );
  const chunked = chunkRows < rows;
  const chunk = planChunk(build, {
    norm: chunked ? workspace.keep(gpu.empty([chunkRows, config.modelDim])) : rowsOf(build, norm),
    targets: chunked ? workspace.keep(gpu.empty([chunkRows])) : targets,
    factor,
    headGradient: chunked ? workspace.keep(gpu.empty(headGradient.shape)) : headGradient,
  });
  const forward = [...start];
  const train = [...start];
  let { loss: tokenLosses, normGradient } = chunk;
  if (chunked) {
    tokenLosses = workspace.keep(gpu.empty([rows]));
    normGradient = workspace.keep(gpu.empty([rows, config.modelDim]));
    for (let first = 0; first < rows; first += chunkRows) {
      const numbers = first * config.modelDim;
      const copy = (...options: Parameters<typeof planCopy>[1][]): Plan[] =>
        options.map((option) => workspace.keep(planCopy(gpu, option).plan));
      const before = copy(
        { source: norm, sourceStart: numbers, copied: chunk.norm },
        { source: targets, sourceStart: first, copied: chunk.targets },
      );
      const losses = copy({ source: chunk.loss, copied: tokenLosses, copiedStart: first });
      const after = copy({
        source: chunk.normGradient,
        copied: normGradient,
        copiedStart: numbers,
      });
      forward.push(...before, ...chunk.forward, ...losses);
      train.push(...before, ...chunk.forward, ...losses, ...chunk.backward, ...after);
      if (first === 0) {
        train.push(...copy({ source: chunk.headGradient, copied: headGradient }));
      } else {
        workspace.add(
          train,
          planAccumulate(gpu, { term: chunk.headGradient, total: headGradient }),
        );
      }
    }
  } else {
    forward.push(...chunk.forward);
    train.push(...chunk.forward, ...chunk.backward);
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

interface ChunkPlans {
  readonly norm: Tensor;
  readonly targets: Tensor;
  readonly forward: readonly Plan[];
  readonly backward: readonly Plan[];
  readonly loss: Tensor;
  readonly normGradient: Tensor;
  readonly headGradient: Tensor;
}

function planChunk(
  build: LlamaBuild,
  { norm, targets, factor, headGradient }: {
    readonly norm: Tensor;
    readonly targets: Tensor;
    readonly factor: number;
    readonly headGradient: Tensor;
  },
): ChunkPlans {
  const { workspace, config } = build;
  const { gpu } = workspace;
  const forward: Plan[] = [];
  const backward: Plan[] = [];
  const head = parameterOf(build, config.tiedHead ? EMBEDDING : HEAD);
  const logits = product(build, forward, { left: norm, right: head, transposeRight: true });
  const { loss, logSumExp } = workspace.add(
    forward,
    planCrossEntropyForward(gpu, { logits, targets }),
  );
  const { logitsGradient } = workspace.add(
    backward,
    planCrossEntropyBackward(gpu, { logits, targets, logSumExp, factor }),
  );
  const normGradient = product(build, backward, { left: logitsGradient, right: head });
  product(build, backward, {
    left: logitsGradient,
    right: norm,
    transposeLeft: true,
    product: headGradient,
  });
  return { norm, targets, forward, backward, loss, normGradient, headGradient };
}
