/**
 * The end of a model whose vocabulary may be too large for one buffer: the final norm, then the
 * head, the logits and the cross-entropy in slices of the vocabulary.
 *
 * For each row, a slice's kernels give logSumExp_slice = log Σ e^z over the slice's columns, and
 * loss_slice = logSumExp_slice − z_target, with z_target = 0 if the target is in another slice. The
 * CPU combines the slices in float64:
 *
 *     logSumExp = log Σ_slices e^(logSumExp_slice)    z_target = Σ_slices (logSumExp_slice − loss_slice)
 *
 * The backward pass uses the same slices; each adds its share to the gradient by the final norm's
 * output.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { planAccumulate } from "../../ops/arithmetic/add.ts";
import { planCopy } from "../../ops/arithmetic/copy.ts";
import {
  planCrossEntropyBackward,
  planCrossEntropyForward,
} from "../../ops/model/cross_entropy.ts";
import type { RightOperand } from "../../ops/matmul/by_image.ts";
import { planRmsNormForward } from "../../ops/rms_norm.ts";
import { EMBEDDING, FINAL_NORM, HEAD } from "../../reference/llama/parameters.ts";
import type { WeightSource } from "../pretrained/weights.ts";
import { type LlamaBuild, product, rowsOf } from "../llama/build.ts";
import { planNormBackward } from "../llama/layer.ts";
import { KeptWeights } from "./kept_weights.ts";
import { allocateWeights, arrayFor, partOf, readWeights, type Uploads } from "./weights.ts";
import { mean } from "../../statistics/mean.ts";

/** How much memory the logits take. */
export interface LogitsMemory {
  /** The most bytes of a slice's weights, and of its logits. Default: 2²⁴. */
  readonly sliceBytes?: number;
  /**
   * Logits are kept for the backward pass if all of them take at most this many bytes; otherwise
   * they are recomputed. Default: 2²⁷.
   */
  readonly keptBytes?: number;
}

const LOGITS_MEMORY: Required<LogitsMemory> = { sliceBytes: 2 ** 24, keptBytes: 2 ** 27 };

/** A range of columns of the logits, from `first` on. */
interface Slice {
  readonly first: number;
  readonly count: number;
}

/**
 * Splits a vocabulary into slices of one length; the last one may be shorter.
 *
 * @param options `vocabulary`: V; `modelDim`: d; `rows`: B · T; `sliceBytes`: the most bytes per
 *   slice
 */
export function vocabularySlices(
  { vocabulary, modelDim, rows, sliceBytes = LOGITS_MEMORY.sliceBytes }: {
    readonly sliceBytes?: number;
    readonly vocabulary: number;
    readonly modelDim: number;
    readonly rows: number;
  },
): Slice[] {
  const most = Math.max(1, Math.floor(sliceBytes / (4 * Math.max(modelDim, rows))));
  const even = Math.ceil(vocabulary / Math.ceil(vocabulary / most));
  // Use whole tiles of the matrix product if the limit allows.
  const length = Math.min(most, 64 * Math.ceil(even / 64));
  return Array.from({ length: Math.ceil(vocabulary / length) }, (_, i) => ({
    first: i * length,
    count: Math.min(length, vocabulary - i * length),
  }));
}

/** The plans and tensors that slices of one length share. */
interface SlicePlans {
  /** [count, d] */
  readonly weights: RightOperand;
  /** [B · T, count] */
  readonly logits: Tensor;
  readonly project: readonly Plan[];
  /** undefined without a backward pass. */
  readonly back: {
    /**
     * Multiply the logits' gradient by the weights, and add the product to the gradient by the
     * norm's output.
     */
    readonly plans: readonly Plan[];
    readonly logitsGradient: Tensor;
  } | undefined;
}

interface PlannedSlice extends Slice {
  readonly shared: SlicePlans;
  readonly forward: Plan;
  /** undefined without a backward pass. */
  readonly backward: Plan | undefined;
  /** [B · T] */
  readonly loss: Tensor;
  readonly logSumExp: Tensor;
  /** The plans that copy the logits away and back; undefined if they are not kept. */
  readonly keep: Plan | undefined;
  readonly restore: Plan | undefined;
}

/** A model's loss, token by token. */
export interface TokenLosses {
  /** The mean loss, in nats. */
  readonly loss: number;
  /** Each token's loss, in nats: [B · T]. */
  readonly tokenLosses: Float64Array<ArrayBuffer>;
}

/** The end of a model. */
export class StreamedHead {
  readonly #gpu: Gpu;
  readonly #source: WeightSource;
  readonly #uploads: Uploads;
  readonly #name: string;
  readonly #gain: Tensor;
  readonly #targets: Tensor;
  readonly #logSumExp: Tensor;
  readonly #slices: readonly PlannedSlice[];
  readonly #norm: readonly Plan[];
  readonly #back: {
    readonly normGradient: Tensor;
    readonly plans: readonly Plan[];
    readonly inputGradient: Tensor;
  } | undefined;
  /** For the slices of one length: their kept weights, by first column. */
  readonly #kept: ReadonlyMap<SlicePlans, KeptWeights<number>>;
  /** The buffer for slices of the weights. */
  readonly #read: ReturnType<typeof arrayFor>;
  #gainIsThere = false;

  /**
   * Plans the end of a model.
   *
   * @param build its workspace owns the new plans and tensors
   * @param options `input`: the last hidden state
   * @throws {RangeError} for sizes beyond the adapter's limits
   */
  constructor(
    build: LlamaBuild,
    { input, source, uploads, memory = {}, backward }: {
      readonly memory?: LogitsMemory | undefined;
      readonly input: Tensor;
      readonly source: WeightSource;
      readonly uploads: Uploads;
      readonly backward: boolean;
    },
  ) {
    const { workspace, config, batch, context } = build;
    const { gpu } = workspace;
    const rows = batch * context;
    const empty = (shape: readonly number[]) => workspace.keep(gpu.empty(shape));
    this.#gpu = gpu;
    this.#source = source;
    this.#uploads = uploads;
    this.#name = config.tiedHead ? EMBEDDING : HEAD;
    this.#gain = empty([config.modelDim]);
    this.#targets = empty([rows]);
    this.#logSumExp = empty([rows]);
    const own = { ...build, units: new Map([[FINAL_NORM, this.#gain]]) };
    const start: Plan[] = [];
    const { output: norm, inverseRms } = workspace.add(
      start,
      planRmsNormForward(gpu, { input, gain: this.#gain, epsilon: config.normEpsilon }),
    );
    this.#norm = start;
    const normGradient = backward ? empty([rows, config.modelDim]) : undefined;
    this.#slices = planSlices(own, {
      norm: rowsOf(build, norm),
      targets: this.#targets,
      logSumExp: this.#logSumExp,
      normGradient,
      memory: { ...LOGITS_MEMORY, ...memory },
      allocate: (shape) =>
        allocateWeights(workspace, shape, {
          images: build.images !== undefined,
          source,
          names: [this.#name],
        }),
    });
    this.#kept = new Map(
      this.#slices.map(({ shared }) => [shared, new KeptWeights(workspace, [shared.weights])]),
    );
    const [longest] = this.#slices;
    this.#read = arrayFor(this.#placeOf(longest!));
    if (normGradient === undefined) return;
    const plans: Plan[] = [];
    const inputGradient = planNormBackward(own, plans, {
      name: FINAL_NORM,
      input,
      inverseRms,
      outputGradient: workspace.view(normGradient, input.shape),
      residualGradient: undefined,
    });
    this.#back = { normGradient, plans, inputGradient };
  }

  /**
   * Allocates memory, at most `bytes`, for weights of slices, so that these need not be read again.
   */
  keep(bytes: number): void {
    let left = bytes;
    for (const [shared, kept] of this.#kept) {
      const slices = this.#slices.filter((slice) => slice.shared === shared);
      left -= kept.allocate(slices.length, left);
    }
  }

  /**
   * Computes the losses.
   *
   * @param targets [B · T]
   * @param options `onLogits`: called with each slice's first column and its logits [B · T,
   *   columns]
   */
  async forward(
    targets: Uint32Array,
    { onLogits }: {
      readonly onLogits?: ((first: number, logits: Float32Array) => void) | undefined;
    } = {},
  ): Promise<TokenLosses> {
    if (!this.#gainIsThere) {
      this.#gain.write(await this.#source.read(FINAL_NORM));
      this.#gainIsThere = true;
    }
    this.#targets.write(Float32Array.from(targets));
    this.#gpu.run(this.#norm);
    for (const slice of this.#slices) {
      await this.#load(slice);
      const keep = slice.keep === undefined ? [] : [slice.keep];
      this.#gpu.run([...slice.shared.project, slice.forward, ...keep]);
      if (onLogits !== undefined) onLogits(slice.first, await slice.shared.logits.read());
    }
    const parts = await Promise.all(
      this.#slices.map(({ loss, logSumExp }) => Promise.all([loss.read(), logSumExp.read()])),
    );
    const { tokenLosses, logSumExp } = joinSlices(parts);
    this.#logSumExp.write(Float32Array.from(logSumExp));
    const loss = mean(tokenLosses);
    return { loss, tokenLosses };
  }

  /**
   * Enqueues the backward pass from the mean loss to the last hidden state. Call it after
   * `forward`.
   *
   * @returns the loss's gradient by the last hidden state, [B, T, d]
   * @throws {TypeError} if no backward pass was planned
   */
  async backward(): Promise<Tensor> {
    if (this.#back === undefined) throw new TypeError("StreamedHead: it has no way back");
    const { normGradient, plans, inputGradient } = this.#back;
    this.#gpu.guard("StreamedLlama", () => {
      const encoder = this.#gpu.device.createCommandEncoder();
      encoder.clearBuffer(normGradient.buffer);
      this.#gpu.device.queue.submit([encoder.finish()]);
    });
    for (const slice of this.#slices.toReversed()) {
      if (slice !== this.#slices.at(-1)) await this.#load(slice);
      const { project, back } = slice.shared;
      const logits = slice.restore === undefined ? project : [slice.restore];
      this.#gpu.run([...logits, slice.backward!, ...back!.plans]);
    }
    this.#gpu.run(plans);
    return inputGradient;
  }

  async #load(slice: PlannedSlice): Promise<void> {
    const { first, count, shared } = slice;
    const kept = this.#kept.get(shared)!;
    if (kept.restore(first)) return;
    const place = this.#placeOf(slice);
    const into = this.#read.subarray(0, place.length);
    await readWeights(this.#source, this.#name, { rows: { start: first, count }, into });
    await this.#uploads.write(place, into);
    kept.keep(first);
  }

  #placeOf({ shared: { weights } }: PlannedSlice): ReturnType<typeof partOf> {
    return partOf(weights, 0, weights.shape[0]! * weights.shape[1]!);
  }
}

function planSlices(
  build: LlamaBuild,
  { norm, targets, logSumExp, normGradient, memory: { sliceBytes, keptBytes }, allocate }: {
    readonly allocate: (shape: readonly [count: number, modelDim: number]) => RightOperand;
    readonly memory: Required<LogitsMemory>;
    readonly norm: Tensor;
    readonly targets: Tensor;
    readonly logSumExp: Tensor;
    readonly normGradient: Tensor | undefined;
  },
): PlannedSlice[] {
  const { workspace, config: { vocabulary, modelDim } } = build;
  const { gpu } = workspace;
  const [rows] = norm.shape as [number, number];
  const slices = vocabularySlices({ vocabulary, modelDim, rows, sliceBytes });
  const kept = normGradient !== undefined && slices.length > 1 &&
    4 * rows * vocabulary <= keptBytes;
  const byCount = new Map<number, SlicePlans>();
  return slices.map((slice) => {
    const { first, count } = slice;
    const shared = byCount.get(count) ?? planShared(build, {
      weights: allocate([count, modelDim]),
      norm,
      normGradient,
    });
    byCount.set(count, shared);
    const { logits, back } = shared;
    const forward = workspace.add(
      [],
      planCrossEntropyForward(gpu, { logits, targets, firstColumn: first }),
    );
    const backward = back === undefined ? undefined : workspace.add(
      [],
      planCrossEntropyBackward(gpu, {
        logits,
        targets,
        logSumExp,
        factor: 1 / rows,
        firstColumn: first,
        logitsGradient: back.logitsGradient,
      }),
    ).plan;
    const own = kept ? workspace.keep(gpu.empty(logits.shape)) : undefined;
    const copy = (source: Tensor, copied: Tensor) =>
      workspace.keep(planCopy(gpu, { source, copied }).plan);
    return {
      ...slice,
      shared,
      forward: forward.plan,
      backward,
      loss: forward.loss,
      logSumExp: forward.logSumExp,
      keep: own === undefined ? undefined : copy(logits, own),
      restore: own === undefined ? undefined : copy(own, logits),
    };
  });
}

function planShared(
  build: LlamaBuild,
  { weights, norm, normGradient }: {
    readonly weights: RightOperand;
    readonly norm: Tensor;
    readonly normGradient: Tensor | undefined;
  },
): SlicePlans {
  const { workspace } = build;
  const { gpu } = workspace;
  const project: Plan[] = [];
  const logits = product(build, project, {
    left: norm,
    right: weights,
    transposeRight: true,
  });
  if (normGradient === undefined) return { weights, logits, project, back: undefined };
  const logitsGradient = workspace.keep(gpu.empty(logits.shape));
  const plans: Plan[] = [];
  const term = product(build, plans, { left: logitsGradient, right: weights });
  workspace.add(plans, planAccumulate(gpu, { term, total: normGradient }));
  return { weights, logits, project, back: { plans, logitsGradient } };
}

/**
 * Combines the losses and logSumExp of all slices into those of the whole vocabulary.
 *
 * @param parts for each slice, the loss and logSumExp of every row
 */
export function joinSlices(
  parts: readonly (readonly [loss: Float32Array, logSumExp: Float32Array])[],
): {
  readonly tokenLosses: Float64Array<ArrayBuffer>;
  readonly logSumExp: Float64Array<ArrayBuffer>;
} {
  const rows = parts[0]![0].length;
  const logSumExp = Float64Array.from({ length: rows }, (_, row) => {
    const all = parts.map(([, each]) => each[row]!);
    const largest = Math.max(...all);
    return largest + Math.log(all.reduce((sum, each) => sum + Math.exp(each - largest), 0));
  });
  const tokenLosses = logSumExp.map((all, row) =>
    parts.reduce((left, [loss, own]) => left - (own[row]! - loss[row]!), all)
  );
  return { tokenLosses, logSumExp };
}
