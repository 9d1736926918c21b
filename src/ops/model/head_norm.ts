/** RMSNorm of each query and key head in attention's joint projection, before RoPE, as in Qwen3. */
import backwardSource from "../../../kernels/model/head_norm/backward.wgsl" with { type: "text" };
import forwardSource from "../../../kernels/model/head_norm/forward.wgsl" with { type: "text" };
import headSource from "../../../kernels/model/head_norm/head.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { range } from "../shared/parts.ts";
import type { Planned } from "../shared/run_once.ts";
import {
  checkCall,
  checkFinite,
  checkShape,
  emptyTensors,
  spreadWorkgroups,
} from "../shared/validation.ts";
import { checkProjections } from "./projections/shape.ts";

const head: KernelPart = { file: "model/head_norm/head.wgsl", source: headSource };
const forwardKernel: Kernel = {
  parts: [range, head, { file: "model/head_norm/forward.wgsl", source: forwardSource }],
};
const backwardKernel: Kernel = {
  parts: [head, { file: "model/head_norm/backward.wgsl", source: backwardSource }],
};

/** The arguments of both passes. */
interface HeadNormOptions {
  /**
   * `[B, T, (Hq + 2 Hkv) · D]`: a row holds the query heads, then the key heads, then the value
   * heads.
   */
  readonly projections: Tensor;
  /** Hq */
  readonly queryHeads: number;
  /** Hkv */
  readonly keyValueHeads: number;
  /** γ, the gain that all query heads share: `[D]`. */
  readonly queryGain: Tensor;
  /** The gain that all key heads share: `[D]`. */
  readonly keyGain: Tensor;
}

/** Arguments of {@linkcode planHeadNormForward}. */
export interface HeadNormForwardOptions extends HeadNormOptions {
  /** ε, added to a head's mean square. Default: 1e-6. */
  readonly epsilon?: number;
}

/** Results of {@linkcode planHeadNormForward}. */
export interface HeadNormForwardResult {
  /** Of the projections' shape; value heads are copied. */
  readonly output: Tensor;
  /** 1 / rms of each query and key head: `[B, T, Hq + Hkv]`. */
  readonly inverseRms: Tensor;
}

/** Arguments of {@linkcode planHeadNormBackward}. */
export interface HeadNormBackwardOptions extends HeadNormOptions {
  /** The forward's inverseRms. */
  readonly inverseRms: Tensor;
  /** Of the projections' shape. */
  readonly outputGradient: Tensor;
}

/** Results of {@linkcode planHeadNormBackward}. */
export interface HeadNormBackwardResult {
  /** Of the projections' shape. */
  readonly projectionsGradient: Tensor;
}

interface HeadNormShape {
  readonly rows: number;
  readonly leading: readonly [number, number];
  readonly headDim: number;
}

function checkHeads(gpu: Gpu, operator: string, options: HeadNormOptions): HeadNormShape {
  checkCall(operator, gpu, options);
  const { queryGain, keyGain } = options;
  const { batches, sequenceLength, headDim } = checkProjections(gpu, operator, options);
  for (const [name, gain] of Object.entries({ queryGain, keyGain })) {
    checkShape(gpu, gain, { operator, name, wanted: [headDim] });
  }
  return { rows: batches * sequenceLength, leading: [batches, sequenceLength], headDim };
}

function dispatchOf(
  gpu: Gpu,
  { shape: { rows, headDim }, options, kernel, epsilon, tensors }: {
    readonly shape: HeadNormShape;
    readonly options: HeadNormOptions;
    readonly kernel: Kernel;
    readonly epsilon: number;
    readonly tensors: readonly Tensor[];
  },
) {
  const { projections, queryHeads, keyValueHeads, queryGain, keyGain } = options;
  return {
    kernel,
    parameters: [
      ...[rows, queryHeads, keyValueHeads, headDim / 4].map((u32) => ({ u32 })),
      { f32: epsilon },
    ],
    buffers: [projections, queryGain, keyGain, ...tensors],
    workgroups: spreadWorkgroups(gpu, Math.ceil(rows * (queryHeads + 2 * keyValueHeads) / 64)),
  };
}

/**
 * Prepares the norm of each query and key head: `output = γ ⊙ x / √(mean(x²) + ε)` over a head's D
 * columns.
 *
 * Source: Qwen3 in Hugging Face's transformers.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `projections` [B, T, (Hq + 2 Hkv) · D], the numbers of heads, both gains [D], ε
 * @returns the plan, `output` of the projections' shape and `inverseRms` [B, T, Hq + Hkv]
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong numbers of heads, an ε that is not finite, or sizes beyond the
 *   adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { planHeadNormForward } from "./head_norm.ts";
 *
 * using gpu = await openGpu();
 * const gain = gpu.tensor([1, 1, 1, 1], [4]);
 * const { plan, output } = planHeadNormForward(gpu, {
 *   projections: gpu.tensor(new Float32Array(12).fill(3), [1, 1, 12]),
 *   queryHeads: 1,
 *   keyValueHeads: 1,
 *   queryGain: gain,
 *   keyGain: gain,
 * });
 * gpu.run(plan);
 * console.log(await output.read()); // eight numbers near 1, then 3, 3, 3, 3
 * ```
 */
export function planHeadNormForward(
  gpu: Gpu,
  options: HeadNormForwardOptions,
): Planned<HeadNormForwardResult> {
  const operator = "headNormForward";
  const shape = checkHeads(gpu, operator, options);
  const { projections, queryHeads, keyValueHeads, epsilon = 1e-6 } = options;
  checkFinite(epsilon, { operator, name: "epsilon" });
  const heads = queryHeads + keyValueHeads;
  const outputs = emptyTensors(gpu, operator, {
    output: projections.shape,
    inverseRms: [...shape.leading, heads],
  });
  const normalized = shape.rows * heads * shape.headDim;
  const plan = new Plan(gpu, {
    operator,
    tensors: { projections, queryGain: options.queryGain, keyGain: options.keyGain, ...outputs },
    // Per normalized number: a square, a sum, and two products.
    cost: { flops: 4 * normalized, bytes: 4 * (2 * projections.length + shape.rows * heads) },
    dispatches: [dispatchOf(gpu, {
      shape,
      options,
      kernel: forwardKernel,
      epsilon,
      tensors: [outputs.output, outputs.inverseRms],
    })],
  });
  return { plan, ...outputs };
}

/**
 * Prepares the backward pass of {@linkcode planHeadNormForward}. It computes the projections'
 * gradient, but not the gains'.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the forward's arguments and results, and `outputGradient` of the projections'
 *   shape
 * @returns the plan and `projectionsGradient`
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong numbers of heads, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { planHeadNormBackward, planHeadNormForward } from "./head_norm.ts";
 *
 * using gpu = await openGpu();
 * const gain = gpu.tensor([1, 1, 1, 1], [4]);
 * const projections = gpu.tensor(new Float32Array(12).fill(3), [1, 1, 12]);
 * const heads = { projections, queryHeads: 1, keyValueHeads: 1, queryGain: gain, keyGain: gain };
 * const { plan, inverseRms } = planHeadNormForward(gpu, heads);
 * const outputGradient = projections;
 * const backward = planHeadNormBackward(gpu, { ...heads, inverseRms, outputGradient });
 * gpu.run([plan, backward.plan]);
 * console.log(await backward.projectionsGradient.read()); // eight numbers near 0, then 3, 3, 3, 3
 * ```
 */
export function planHeadNormBackward(
  gpu: Gpu,
  options: HeadNormBackwardOptions,
): Planned<HeadNormBackwardResult> {
  const operator = "headNormBackward";
  const shape = checkHeads(gpu, operator, options);
  const { projections, queryHeads, keyValueHeads, inverseRms, outputGradient } = options;
  const heads = queryHeads + keyValueHeads;
  checkShape(gpu, inverseRms, { operator, name: "inverseRms", wanted: [...shape.leading, heads] });
  checkShape(gpu, outputGradient, {
    operator,
    name: "outputGradient",
    wanted: projections.shape,
  });
  const outputs = emptyTensors(gpu, operator, { projectionsGradient: projections.shape });
  const plan = new Plan(gpu, {
    operator,
    tensors: {
      projections,
      queryGain: options.queryGain,
      keyGain: options.keyGain,
      inverseRms,
      outputGradient,
      ...outputs,
    },
    // Per normalized number: one operation each for u = gain ⊙ outputGradient and
    // n = x · inverseRms, two for the mean of u · n, and three for (u − n · mean) · inverseRms.
    cost: {
      flops: 7 * shape.rows * heads * shape.headDim,
      bytes: 4 * (3 * projections.length + shape.rows * heads),
    },
    dispatches: [dispatchOf(gpu, {
      shape,
      options,
      kernel: backwardKernel,
      epsilon: 0,
      tensors: [inverseRms, outputGradient, outputs.projectionsGradient],
    })],
  });
  return { plan, ...outputs };
}
