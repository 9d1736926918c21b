/** Plans the head's slices: the logits, their cross-entropy, and the backward pass. */
import type { Plan } from "../../../gpu/plan.ts";
import type { Tensor } from "../../../gpu/tensor.ts";
import { planAccumulate } from "../../../ops/arithmetic/add.ts";
import { planCopy } from "../../../ops/arithmetic/copy.ts";
import {
  planCrossEntropyBackward,
  planCrossEntropyForward,
} from "../../../ops/model/cross_entropy.ts";
import type { RightOperand } from "../../../ops/matmul/by_image.ts";
import { type LlamaBuild, product } from "../../llama/build.ts";
import { type LogitsMemory, type Slice, vocabularySlices } from "./slices.ts";

/** The plans and tensors that slices of one length share. */
export interface SlicePlans {
  /** [count, d] */
  readonly weights: RightOperand;
  /** [B · T, count] */
  readonly logits: Tensor;
  readonly project: readonly Plan[];
  /** undefined without a backward pass. */
  readonly back: {
    /**
     * Multiply the logits' gradient by the weights, and add the product to the loss's gradient with
     * respect to the norm's output.
     */
    readonly plans: readonly Plan[];
    readonly logitsGradient: Tensor;
  } | undefined;
}

/** A slice with its plans. */
export interface PlannedSlice extends Slice {
  readonly shared: SlicePlans;
  readonly forward: Plan;
  /** undefined without a backward pass. */
  readonly backward: Plan | undefined;
  /** [B · T] */
  readonly loss: Tensor;
  readonly logSumExp: Tensor;
  /** `keep` saves the slice's logits and `restore` brings them back; undefined if none are kept. */
  readonly keep: Plan | undefined;
  readonly restore: Plan | undefined;
}

/**
 * Plans all slices of the vocabulary.
 *
 * @param build its workspace owns the new plans and tensors
 * @param options `norm`: the final norm's output, [B · T, d]; `targets` and `logSumExp`, [B · T];
 *   `normGradient`: the loss's gradient with respect to `norm`, undefined without a backward pass;
 *   `allocate`: allocates memory for a slice's weights
 */
export function planSlices(
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
