/**
 * Fused causal attention, forward and backward, with V-scale on the value path and learned sinks.
 *
 * How a backward call reaches the GPU: `planAttentionBackward` checks the arguments, chooses a
 * variant from `attention/backward_variants.ts`, and makes a `Plan` of the dispatches of this
 * variant's kernels. `runOnce` hands the plan to `gpu.run`, which opens a compute pass, lets the
 * plan record its dispatches (`#record` in `src/gpu/plan.ts`), and submits.
 */
import type { Gpu } from "../gpu/gpu.ts";
import { Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import {
  attentionBackwardHalfVariants,
  attentionBackwardVariants,
} from "./attention/backward_variants.ts";
import {
  attentionForwardHalfVariants,
  attentionForwardVariants,
} from "./attention/forward_variants.ts";
import { type AttentionPrecise, checkPrecise, planPrecise } from "./attention/precise.ts";
import {
  attentionBackwardCost,
  attentionForwardCost,
  attentionShapeClass,
  type AttentionVScale,
  checkAttention,
} from "./attention/shape.ts";
import { type Planned, runOnce } from "./shared/run_once.ts";
import { checkCall, checkFinite, emptyTensors } from "./shared/validation.ts";
import { chooseVariant } from "./shared/variants.ts";

/** Arguments of {@linkcode attentionForward}. */
export interface AttentionForwardOptions {
  /** `[B, Hq, T, D]` */
  readonly query: Tensor;
  /** `[B, Hkv, T, D]`, Hq a multiple of Hkv. */
  readonly key: Tensor;
  /** `[B, Hkv, T, D]` */
  readonly value: Tensor;
  /** The factor that multiplies ⟨q, k⟩ to give a logit. Default: 1/√D. */
  readonly scale?: number;
  /** V-scale on the value path. Default: none. */
  readonly vScale?: AttentionVScale;
  /**
   * s, the learned sinks: one extra logit per query head, `[Hq]`, which takes a part of the weight
   * but has no value vector. Zeros give softmax-off-by-one. −Infinity means no sink; +Infinity or
   * NaN makes the head NaN. Default: none.
   */
  readonly sinkLogit?: Tensor;
  /**
   * The name of one of the operator's variants. Default: the fastest known for this adapter and
   * shape.
   *
   * Variants that end in `-f16`, such as `tiled-64x32-f16`, keep tiles in f16 and add in f32, which
   * halves the workgroup memory. Defaults and tuning never choose them. They round query and key,
   * which changes a logit by at most 2⁻¹⁰ · scale · Σ|q k|. They also round the softmax's weights,
   * which changes a weight by at most 2⁻¹¹ of itself. On adapters that do not round to nearest,
   * both limits are twice as large. The backward does not round `value` and `outputGradient`,
   * because it subtracts D_t = ⟨outputGradient_t, output_t⟩ from their products. If a query attends
   * to one key, D_t nearly equals that key's product. Before the backward rounds weights and logit
   * gradients, it multiplies each of their rows by a power of two, so a gradient of 10⁻⁹ keeps as
   * many digits as one of 1. Queries and keys must stay below 65,504; for logits in the hundreds,
   * use another variant.
   */
  readonly variant?: string;
}

/** Results of {@linkcode attentionForward}. */
export interface AttentionForwardResult {
  /** `[B, Hq, T, D]` */
  readonly output: Tensor;
  /**
   * `[B, Hq, T]`: the natural logarithm of the sum of the exponentials of the scaled logits,
   * including the sink's.
   */
  readonly logSumExp: Tensor;
}

/** Arguments of {@linkcode attentionBackward}. */
export interface AttentionBackwardOptions extends AttentionForwardOptions {
  /** The forward's output. */
  readonly output: Tensor;
  /** The forward's logSumExp. */
  readonly logSumExp: Tensor;
  /** The loss's gradient with respect to the output: `[B, Hq, T, D]`. */
  readonly outputGradient: Tensor;
  /**
   * The loss's gradient with respect to logSumExp, if the loss depends on it: `[B, Hq, T]`.
   * Default: zeros.
   */
  readonly logSumExpGradient?: Tensor;
  /**
   * Keeps `queryGradient` and `keyGradient` accurate if queries give almost all of their weight to
   * one key: `true` for the first key, or `{ position }`. With all but 10⁻⁶ of the weight on that
   * key, the usual form keeps one correct digit, like every float32 attention that computes D_t =
   * ⟨outputGradient_t, output_t⟩; the precise form keeps five. The precise form takes 1.5 times as
   * long, because it needs one more forward pass. It also needs memory for a second value tensor
   * and a second output tensor. Default: false.
   */
  readonly precise?: AttentionPrecise;
}

/** Results of {@linkcode attentionBackward}. */
export interface AttentionBackwardResult {
  /** `[B, Hq, T, D]` */
  readonly queryGradient: Tensor;
  /** `[B, Hkv, T, D]`, summed over the query heads that share a key head. */
  readonly keyGradient: Tensor;
  /** `[B, Hkv, T, D]`, summed over the query heads that share a value head. */
  readonly valueGradient: Tensor;
  /** `[Hkv]`, with V-scale only. */
  readonly constantGradient?: Tensor;
  /** `[Hq]`, with a learned sink only; summed over batch and positions. */
  readonly sinkLogitGradient?: Tensor;
}

/**
 * Prepares {@linkcode attentionForward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong values, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planAttentionForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const rows = gpu.tensor(new Float32Array(8 * 4).fill(1), [1, 1, 8, 4]);
 * const { plan, output } = planAttentionForward(gpu, { query: rows, key: rows, value: rows });
 * gpu.run(plan);
 * console.log(plan.cost.flops, await output.read());
 * ```
 */
export function planAttentionForward(
  gpu: Gpu,
  options: AttentionForwardOptions,
): Planned<AttentionForwardResult> {
  const operator = "attentionForward";
  checkCall(operator, gpu, options);
  const { query, key, value, vScale, sinkLogit } = options;
  const shape = checkAttention(gpu, operator, { query, key, value, sinkLogit }, vScale);
  const { scale = 1 / Math.sqrt(shape.headDim) } = options;
  checkFinite(scale, { operator, name: "scale" });
  const full = vScale?.mode === "full";
  const variant = chooseVariant(gpu, attentionForwardVariants, {
    operator,
    shapeClass: attentionShapeClass(shape),
    shape,
    wanted: options.variant,
    namedOnly: attentionForwardHalfVariants,
  });
  const outputs = emptyTensors(gpu, operator, {
    output: query.shape,
    logSumExp: query.shape.slice(0, 3),
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { query, key, value, vScale, sinkLogit, ...outputs },
    cost: attentionForwardCost(shape, { vScale: full, sink: sinkLogit !== undefined }),
    ...variant.plan(gpu, { shape, scale, vScale, sinkLogit, query, key, value, ...outputs }),
  });
  return { plan, ...outputs };
}

/**
 * Fused causal attention. With `z_tj = scale ⟨q_t, k_j⟩` for `j ≤ t` and `a_t = softmax(z_t)`, the
 * output is `y_t = Σ_{j≤t} a_tj v_j`. With V-scale "full", `φ(v_j)` replaces `v_j`. Query head h
 * reads key and value head `floor(h / (Hq / Hkv))`. No variant stores a T × T matrix.
 *
 * With a learned sink `s_h` the softmax has an extra logit without a value: `a_tj = exp(z_tj) /
 * (exp(s_h) + Σ_{i≤t} exp(z_ti))`, and `logSumExp` includes it.
 *
 * Source: Dao, arXiv 2307.08691 (FlashAttention-2); V-scale: Chen, Lin, Yao, arXiv 2603.17771;
 * learned sinks: OpenAI, arXiv 2508.10925 (gpt-oss).
 *
 * @param gpu the GPU that holds the tensors
 * @param options `query` [B, Hq, T, D], `key` and `value` [B, Hkv, T, D], D a multiple of 4 up to
 *   256; `scale` (default 1/√D); `vScale` { constant [Hkv], mode }; `sinkLogit` [Hq]
 * @returns `output` [B, Hq, T, D], `logSumExp` [B, Hq, T]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong values, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { attentionForward, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const shape = [1, 2, 16, 32]; // B, Hq, T, D
 * const numbers = Float32Array.from({ length: 2 * 16 * 32 }, (_, i) => Math.sin(i));
 * const query = gpu.tensor(numbers, shape);
 * const key = gpu.tensor(numbers.toReversed(), shape);
 * const value = gpu.tensor(numbers, shape);
 * const { output, logSumExp } = attentionForward(gpu, { query, key, value });
 * console.log(output.shape, logSumExp.shape);
 * console.log((await output.read())[0] === numbers[0]); // row 0 sees itself
 * ```
 *
 * @example A sink with logit 0 for the one head: softmax-off-by-one.
 * ```ts
 * import { attentionForward, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const shape = [1, 1, 4, 4]; // B, Hq, T, D
 * const zeros = gpu.tensor(new Float32Array(16), shape);
 * const value = gpu.tensor(new Float32Array(16).fill(1), shape);
 * const sinkLogit = gpu.tensor([0], [1]);
 * const { output } = attentionForward(gpu, { query: zeros, key: zeros, value, sinkLogit });
 * console.log(await output.read()); // rows of 1/2, 2/3, 3/4, 4/5: the rest is the sink's
 * ```
 */
export function attentionForward(
  gpu: Gpu,
  options: AttentionForwardOptions,
): AttentionForwardResult {
  return runOnce(gpu, planAttentionForward(gpu, options));
}

/**
 * Prepares {@linkcode attentionBackward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong values, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { attentionForward, openGpu, planAttentionBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const rows = gpu.tensor(Float32Array.from({ length: 32 }, (_, i) => Math.sin(i)), [1, 1, 8, 4]);
 * const inputs = { query: rows, key: rows, value: rows };
 * const forward = attentionForward(gpu, inputs);
 * const call = { ...inputs, ...forward, outputGradient: rows };
 * const { plan, keyGradient } = planAttentionBackward(gpu, call);
 * gpu.run(plan);
 * console.log(plan.dispatches, await keyGradient.read());
 * ```
 */
export function planAttentionBackward(
  gpu: Gpu,
  options: AttentionBackwardOptions,
): Planned<AttentionBackwardResult> {
  const operator = "attentionBackward";
  checkCall(operator, gpu, options);
  const { query, key, value, output, logSumExp, outputGradient, vScale } = options;
  const { sinkLogit, logSumExpGradient } = options;
  const required = { query, key, value, output, logSumExp, outputGradient };
  const tensors = { ...required, sinkLogit, logSumExpGradient };
  const shape = checkAttention(gpu, operator, tensors, vScale);
  const { scale = 1 / Math.sqrt(shape.headDim) } = options;
  checkFinite(scale, { operator, name: "scale" });
  const position = checkPrecise(operator, options.precise, shape);
  const variant = chooseVariant(gpu, attentionBackwardVariants, {
    operator,
    shapeClass: attentionShapeClass(shape),
    shape,
    wanted: options.variant,
    namedOnly: attentionBackwardHalfVariants,
  });
  const outputs = emptyTensors(gpu, operator, {
    queryGradient: query.shape,
    keyGradient: key.shape,
    valueGradient: key.shape,
  });
  const constantGradient = vScale === undefined ? undefined : gpu.empty([shape.keyValueHeads]);
  const sinkLogitGradient = sinkLogit === undefined ? undefined : gpu.empty([shape.queryHeads]);
  const results = { ...outputs, constantGradient, sinkLogitGradient };
  const call = { ...tensors, shape, scale, vScale, ...results };
  const plan = new Plan(gpu, {
    operator,
    tensors: { ...tensors, vScale, ...results },
    cost: attentionBackwardCost(shape, {
      vScale: vScale !== undefined,
      sink: sinkLogit !== undefined,
      logSumExpGradient: logSumExpGradient !== undefined,
    }),
    ...position === undefined
      ? variant.plan(gpu, call)
      : planPrecise(gpu, call, { position, backward: variant }),
  });
  return {
    plan,
    ...outputs,
    ...constantGradient === undefined ? {} : { constantGradient },
    ...sinkLogitGradient === undefined ? {} : { sinkLogitGradient },
  };
}

/**
 * The gradients of {@linkcode attentionForward}, with the probabilities recomputed from
 * `logSumExp`. With `g` the outputGradient and `D_t = ⟨g_t, y_t⟩`: `∂L/∂v_j = Σ_{t≥j} a_tj g_t`,
 * `∂L/∂z_tj = a_tj (⟨g_t, v_j⟩ − D_t)`, `∂L/∂q_t = scale Σ_j ∂L/∂z_tj k_j`,
 * `∂L/∂k_j = scale Σ_t ∂L/∂z_tj q_t`.
 *
 * With V-scale "full", `φ(v_j)` replaces `v_j` in `∂L/∂z_tj`. In both modes `∂L/∂v_j` is φ's
 * Jacobian times `u_j = Σ_{t≥j} a_tj g_t`, and `constantGradient` is
 * `−Σ_j r_j/(r_j + C)² ⟨v_j, u_j⟩` with `r_j = ‖v_j‖²`.
 *
 * If the loss also depends on `logSumExp`, with gradient `ℓ`, then `∂L/∂z_tj = a_tj (⟨g_t, v_j⟩ −
 * D_t + ℓ_t)`. With a learned sink, whose share of the weight is `b_t = exp(s_h − logSumExp_t)`,
 * `sinkLogitGradient` is `Σ_t b_t (ℓ_t − D_t)`.
 *
 * Extra memory is linear in T, and the same input gives the same bits on one adapter.
 *
 * Source: Dao, arXiv 2307.08691 (FlashAttention-2); V-scale: Chen, Lin, Yao, arXiv 2603.17771.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the forward's arguments and results, `outputGradient` [B, Hq, T, D],
 *   `logSumExpGradient` [B, Hq, T] (default: zeros), and `precise` (default: false)
 * @returns `queryGradient` [B, Hq, T, D], `keyGradient` and `valueGradient` [B, Hkv, T, D], with
 *   V-scale also `constantGradient` [Hkv], with a sink `sinkLogitGradient` [Hq]; enqueued, not
 *   waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong values, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { attentionBackward, attentionForward, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const shape = [1, 1, 16, 32];
 * const numbers = Float32Array.from({ length: 16 * 32 }, (_, i) => Math.sin(i));
 * const inputs = {
 *   query: gpu.tensor(numbers, shape),
 *   key: gpu.tensor(numbers.toReversed(), shape),
 *   value: gpu.tensor(numbers, shape),
 *   vScale: { constant: gpu.tensor([0.5], [1]), mode: "full" as const },
 * };
 * const forward = attentionForward(gpu, inputs);
 * const outputGradient = gpu.tensor(numbers.map(Math.cos), shape);
 * const gradients = attentionBackward(gpu, { ...inputs, ...forward, outputGradient });
 * console.log(await gradients.valueGradient.read(), await gradients.constantGradient?.read());
 * ```
 */
export function attentionBackward(
  gpu: Gpu,
  options: AttentionBackwardOptions,
): AttentionBackwardResult {
  return runOnce(gpu, planAttentionBackward(gpu, options));
}
