/** The gates of gated attention, one per head or one per element, forward and backward. */
import backwardSource from "../../../kernels/model/attention_gate/backward.wgsl" with {
  type: "text",
};
import forwardSource from "../../../kernels/model/attention_gate/forward.wgsl" with {
  type: "text",
};
import openingSource from "../../../kernels/model/attention_gate/opening.wgsl" with {
  type: "text",
};
import sigmoidSource from "../../../kernels/model/sigmoid.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { KernelPart } from "../../gpu/pipelines.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { elementKernel } from "../rows/parts.ts";
import { type Planned, runOnce } from "../shared/run_once.ts";
import {
  checkCall,
  checkShape,
  checkTensor,
  emptyTensors,
  spreadWorkgroups,
} from "../shared/validation.ts";

const parts: readonly KernelPart[] = [
  { file: "model/sigmoid.wgsl", source: sigmoidSource },
  { file: "model/attention_gate/opening.wgsl", source: openingSource },
];

/** Arguments of {@linkcode attentionGateForward}. */
export interface AttentionGateForwardOptions {
  /** The heads' outputs, joined along the last dimension: `[…, Hq · D]`. */
  readonly input: Tensor;
  /**
   * The gates' logits: `[…, Hq]`, one per head, or `[…, Hq · D]`, one per element. Any number of
   * gates that divides the length of `input`'s rows is allowed.
   */
  readonly logits: Tensor;
}

/** Results of {@linkcode attentionGateForward}. */
export interface AttentionGateForwardResult {
  /** `[…, Hq · D]` */
  readonly output: Tensor;
  /** How far each gate is open, from 0 to 1, in the logits' shape. */
  readonly opening: Tensor;
}

/** Arguments of {@linkcode attentionGateBackward}. */
export interface AttentionGateBackwardOptions extends AttentionGateForwardOptions {
  /** The loss's gradient with respect to `output`: `[…, Hq · D]`. */
  readonly outputGradient: Tensor;
}

/** Results of {@linkcode attentionGateBackward}. */
export interface AttentionGateBackwardResult {
  /** `[…, Hq · D]` */
  readonly inputGradient: Tensor;
  /** Of the logits' shape. */
  readonly logitsGradient: Tensor;
}

/** Checks the tensors. Returns how many numbers of `input` one gate multiplies. */
function checkGates(gpu: Gpu, operator: string, options: AttentionGateForwardOptions): number {
  checkCall(operator, gpu, options);
  const { input, logits } = options;
  checkTensor(gpu, input, { operator, name: "input" });
  checkTensor(gpu, logits, { operator, name: "logits" });
  const width = input.shape.at(-1) ?? 1;
  const gates = logits.shape.at(-1) ?? 1;
  checkShape(gpu, logits, {
    operator,
    name: "logits",
    wanted: [...input.shape.slice(0, -1), gates],
  });
  if (width % gates !== 0) {
    throw new TypeError(
      `${operator}: logits has rows of ${gates} gates, wanted a divisor of input's ${width} columns`,
    );
  }
  return width / gates;
}

/**
 * Prepares {@linkcode attentionGateForward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planAttentionGateForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([1, 2, 3, 4], [1, 4]);
 * const { plan, output, opening } = planAttentionGateForward(gpu, {
 *   input,
 *   logits: gpu.tensor([0, 100], [1, 2]),
 * });
 * gpu.run(plan);
 * console.log(output.shape, opening.shape, plan.cost.flops);
 * ```
 */
export function planAttentionGateForward(
  gpu: Gpu,
  options: AttentionGateForwardOptions,
): Planned<AttentionGateForwardResult> {
  const operator = "attentionGateForward";
  const columns = checkGates(gpu, operator, options);
  const { input, logits } = options;
  const outputs = emptyTensors(gpu, operator, { output: input.shape, opening: logits.shape });
  const { kernel, elements } = elementKernel(columns, ...parts, {
    file: "model/attention_gate/forward.wgsl",
    source: forwardSource,
  });
  const gates = logits.length;
  const plan = new Plan(gpu, {
    operator,
    tensors: { input, logits, ...outputs },
    // Per gate: an exponential, a sum and a division. Per number: a product.
    cost: { flops: 3 * gates + input.length, bytes: 8 * (input.length + gates) },
    dispatches: [{
      kernel,
      parameters: [{ u32: gates }, { u32: elements }],
      buffers: [input, logits, outputs.output, outputs.opening],
      workgroups: spreadWorkgroups(gpu, Math.ceil(gates * elements / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * Gates the outputs of attention's heads: `output = σ(x) input`, where σ is the logistic function
 * and x the logit of the head's or the element's gate.
 *
 * Source: Qiu et al., "Gated Attention for Large Language Models", NeurIPS 2025.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `input` […, Hq · D]; `logits` […, Hq] or […, Hq · D]
 * @returns `output` […, Hq · D]; `opening`, of the logits' shape; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { attentionGateForward, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([1, 2, 3, 4], [1, 4]);
 * const { output } = attentionGateForward(gpu, { input, logits: gpu.tensor([0, 100], [1, 2]) });
 * console.log(await output.read()); // 0.5, 1, 3, 4
 * ```
 */
export function attentionGateForward(
  gpu: Gpu,
  options: AttentionGateForwardOptions,
): AttentionGateForwardResult {
  return runOnce(gpu, planAttentionGateForward(gpu, options));
}

/**
 * Prepares {@linkcode attentionGateBackward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planAttentionGateBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { plan, inputGradient } = planAttentionGateBackward(gpu, {
 *   input: gpu.tensor([1, 2, 3, 4], [1, 4]),
 *   logits: gpu.tensor([0, 100], [1, 2]),
 *   outputGradient: gpu.tensor([1, 1, 1, 1], [1, 4]),
 * });
 * gpu.run(plan);
 * console.log(inputGradient.shape, plan.cost.flops);
 * ```
 */
export function planAttentionGateBackward(
  gpu: Gpu,
  options: AttentionGateBackwardOptions,
): Planned<AttentionGateBackwardResult> {
  const operator = "attentionGateBackward";
  const columns = checkGates(gpu, operator, options);
  const { input, logits, outputGradient } = options;
  checkShape(gpu, outputGradient, { operator, name: "outputGradient", wanted: input.shape });
  const outputs = emptyTensors(gpu, operator, {
    inputGradient: input.shape,
    logitsGradient: logits.shape,
  });
  const { kernel, elements } = elementKernel(columns, ...parts, {
    file: "model/attention_gate/backward.wgsl",
    source: backwardSource,
  });
  const gates = logits.length;
  const plan = new Plan(gpu, {
    operator,
    tensors: { input, logits, outputGradient, ...outputs },
    // Per gate: three operations each for σ(x) and σ(−x), and two products. Per number of the
    // input: two products and a sum.
    cost: { flops: 8 * gates + 3 * input.length, bytes: 12 * input.length + 8 * gates },
    dispatches: [{
      kernel,
      parameters: [{ u32: gates }, { u32: elements }],
      buffers: [input, logits, outputGradient, outputs.inputGradient, outputs.logitsGradient],
      workgroups: spreadWorkgroups(gpu, Math.ceil(gates / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * The gradients of {@linkcode attentionGateForward}. With g the outputGradient: `∂L/∂input = σ(x)
 * g`, so a closed gate closes the value path, and `∂L/∂x = σ(x) σ(−x) Σ g input` over the gate's
 * numbers.
 *
 * Source: Qiu et al., "Gated Attention for Large Language Models", NeurIPS 2025.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `input` and `outputGradient` […, Hq · D]; `logits` […, Hq] or […, Hq · D]
 * @returns `inputGradient` […, Hq · D]; `logitsGradient`, of the logits' shape; enqueued, not
 *   waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { attentionGateBackward, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { logitsGradient } = attentionGateBackward(gpu, {
 *   input: gpu.tensor([1, 2, 3, 4], [1, 4]),
 *   logits: gpu.tensor([0, 100], [1, 2]),
 *   outputGradient: gpu.tensor([1, 1, 1, 1], [1, 4]),
 * });
 * console.log(await logitsGradient.read()); // 0.75, 0
 * ```
 */
export function attentionGateBackward(
  gpu: Gpu,
  options: AttentionGateBackwardOptions,
): AttentionGateBackwardResult {
  return runOnce(gpu, planAttentionGateBackward(gpu, options));
}
