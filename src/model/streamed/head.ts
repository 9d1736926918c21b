/**
 * The end of a model whose vocabulary may be too large for one buffer: the final norm, then the
 * head, the logits and the cross-entropy in slices of the vocabulary.
 *
 * For each row, a slice's kernels give logSumExp_slice = log Σ e^z over the slice's columns, and
 * loss_slice = logSumExp_slice − z_target, with z_target = 0 if the target is in another slice. The
 * CPU combines the slices in float64:
 *
 *     logSumExp = log Σ_slices e^(logSumExp_slice)
 *     z_target = Σ_slices (logSumExp_slice − loss_slice)
 *
 * The backward pass uses the same slices. Each slice adds its share to the gradient of the final
 * norm's output.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { planRmsNormForward } from "../../ops/rms_norm.ts";
import { EMBEDDING, FINAL_NORM, HEAD } from "../../reference/llama/parameters.ts";
import type { WeightSource } from "../pretrained/weights.ts";
import { type LlamaBuild, rowsOf } from "../llama/build.ts";
import { planNormBackward } from "../llama/layer.ts";
import { KeptWeights } from "./kept_weights.ts";
import { allocateWeights, arrayFor, partOf, readWeights, type Uploads } from "./weights.ts";
import { mean } from "../../statistics/mean.ts";
import { joinSlices, LOGITS_MEMORY, type LogitsMemory } from "./head/slices.ts";
import { type PlannedSlice, planSlices, type SlicePlans } from "./head/plans.ts";

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
  /**
   * The slices' weights that stay on the GPU. Slices of the same length share their `SlicePlans`
   * and one `KeptWeights`, in which each slice's key is its first column.
   */
  readonly #kept: ReadonlyMap<SlicePlans, KeptWeights<number>>;
  /** The array into which a slice's weights are read from disk. */
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

  /** Allocates memory of at most `bytes` bytes, to keep slices' weights for later passes. */
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
   * @returns the loss's gradient with respect to the last hidden state, [B, T, d]
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
