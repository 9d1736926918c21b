/** The tensors and variants that all plans of a Llama share. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { attentionBackwardVariants } from "../../ops/attention/backward_variants.ts";
import { attentionForwardVariants } from "../../ops/attention/forward_variants.ts";
import type { AttentionShape } from "../../ops/attention/shape.ts";
import type { MatrixImage } from "../../gpu/plan/matrix_image.ts";
import { planImageMatmul, type RightOperand } from "../../ops/matmul/by_image.ts";
import { rotaryAngles } from "../../ops/model/rotary_angles.ts";
import type { Variant } from "../../ops/shared/variants.ts";
import { type LlamaConfig, vScaleConstant } from "../../reference/llama/config.ts";
import { ropeFrequencies } from "../../reference/llama/rope.ts";
import type { Workspace } from "../workspace.ts";

/**
 * How to choose operators' variants on an adapter that computes on the CPU. On a GPU, each operator
 * chooses its own variant. `steps` chooses the variants that run fastest, though some take seconds
 * to compile. `start` chooses the variants that compile fastest, for a few steps.
 */
export type KernelPreference = "steps" | "start";

/** Options of {@linkcode Llama}. */
export interface LlamaOptions {
  /** The model's shape. */
  readonly config: LlamaConfig;
  /** B: the number of sequences in a micro-batch. */
  readonly batch: number;
  /** T: the number of tokens in a sequence. */
  readonly context: number;
  /** The values of every parameter of `listParameters(config)`, by name. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
  /** The number of micro-batches over which a step's gradient is averaged. Default: 1. */
  readonly microBatches?: number;
  /** How to choose operators' variants. Default: `steps`. */
  readonly kernels?: KernelPreference;
  /**
   * A position to which heads may give almost all of their weight. If it is given, the gradients of
   * this position's key and of all queries stay accurate, as with `precise` in `attentionBackward`.
   * Attention's backward pass then takes about 1.5 times as long, and needs more memory. Default:
   * none, as in training.
   */
  readonly precisePosition?: number;
}

/** The name of the variant that each operator runs. If undefined, the operator chooses. */
export interface KernelChoice {
  readonly matmul?: string;
  readonly attentionForward?: string;
  readonly attentionBackward?: string;
}

/** The tensors and settings from which every part of a model plans its work. */
export interface LlamaBuild {
  readonly workspace: Workspace;
  readonly config: LlamaConfig;
  /** B */
  readonly batch: number;
  /** T */
  readonly context: number;
  /**
   * The parameters' tensors by name. The query, key and value projections are stacked into one
   * matrix, under the query projection's name. SwiGLU's gate and up projections are stacked too,
   * under the gate projection's name.
   */
  readonly units: ReadonlyMap<string, Tensor>;
  /**
   * The weights of linear maps that are in images (textures) instead of `units`, by the same
   * names. Default: none.
   */
  readonly images?: ReadonlyMap<string, MatrixImage>;
  /**
   * The tensors for the parameters' gradients, under the names of `units`; undefined if only the
   * states' gradients are wanted.
   */
  readonly gradients: ReadonlyMap<string, Tensor> | undefined;
  readonly kernels: KernelChoice;
  /** cos and sin of RoPE: [T, D]. */
  readonly angles: Tensor;
  /** V-scale's constant if it is not learned: [Hkv]. */
  readonly constant: Tensor | undefined;
  /** The sink logits if they are not learned: [Hq]. */
  readonly sinkLogit: Tensor | undefined;
  /** As in {@linkcode LlamaOptions}. */
  readonly precisePosition: number | undefined;
  readonly linearInput?: LinearInput;
}

/**
 * Returns what the linear map named `linear` reads instead of `input`, such as quantized values. It
 * may add plans to `plans`. Maps that read the same input share one call, under the first map's
 * name: `q_proj` for attention's three projections and its gates, `gate_proj` for SwiGLU's two.
 */
export type LinearInput = (plans: Plan[], linear: string, input: Tensor) => Tensor;

type Candidate = Pick<Variant<AttentionShape, never>, "name" | "unfit" | "suits">;

/** Chooses variants of the matrix product and of attention, for attention of the given shape. */
export function chooseKernels(
  gpu: Gpu,
  { preference, attention }: {
    readonly preference: KernelPreference;
    readonly attention: AttentionShape;
  },
): KernelChoice {
  if (!gpu.info.software) return {};
  if (preference === "start") {
    return { matmul: "portable", attentionForward: "portable", attentionBackward: "portable" };
  }
  const fastest = (variants: readonly Candidate[]): string => {
    const fit = variants.filter((each) => each.unfit(gpu, attention) === undefined);
    // The portable variant, last in each list, always suits.
    const suiting = (shape: AttentionShape) => fit.find((each) => each.suits(gpu, shape))!.name;
    const own = suiting(attention);
    // For short sequences, `suits` refuses a variant that takes seconds to compile. Over many steps
    // that variant pays off even then, so ask for the variant that suits an endless sequence.
    return own === "portable" ? suiting({ ...attention, sequenceLength: Infinity }) : own;
  };
  return {
    attentionForward: fastest(attentionForwardVariants),
    attentionBackward: fastest(attentionBackwardVariants),
  };
}

/**
 * Prepares what all parts of a model need: the variants of the matrix product and of attention, and
 * the tensors that the parts share.
 *
 * @param workspace owns these tensors, and later everything that the parts plan with the result
 */
export function startBuild(
  workspace: Workspace,
  { config, batch, context, kernels = "steps", precisePosition, units, gradients }:
    & Omit<LlamaOptions, "parameters">
    & Pick<LlamaBuild, "units" | "gradients">,
): LlamaBuild {
  const { gpu } = workspace;
  const { headDim, queryHeads, keyValueHeads } = config;
  const rotary = { sequenceLength: context, headDim, frequencies: ropeFrequencies(config) };
  const fixed = config.vScale === "fixed" || config.vScale === "backward-only";
  const constants = new Float32Array(keyValueHeads).fill(vScaleConstant(config));
  return {
    workspace,
    config,
    batch,
    context,
    units,
    gradients,
    kernels: chooseKernels(gpu, {
      preference: kernels,
      attention: {
        batches: batch,
        queryHeads,
        keyValueHeads,
        sequenceLength: context,
        headDim,
      },
    }),
    angles: workspace.keep(gpu.tensor(rotaryAngles(rotary), [context, headDim])),
    sinkLogit: config.sinkLogit === "zero"
      ? workspace.keep(gpu.tensor(new Float32Array(queryHeads), [queryHeads]))
      : undefined,
    constant: fixed ? workspace.keep(gpu.tensor(constants, [keyValueHeads])) : undefined,
    precisePosition,
  };
}

/** The tensor of the parameter `name`, or of several stacked parameters if `name` is the first. */
export function parameterOf({ units }: LlamaBuild, name: string): Tensor {
  return tensorOf(units, name);
}

/** The tensor for a parameter's gradient. */
export function gradientOf({ gradients = new Map() }: LlamaBuild, name: string): Tensor {
  return tensorOf(gradients, name);
}

/** As {@linkcode gradientOf}, but undefined if the parameters' gradients are not wanted. */
export function wantedGradientOf(build: LlamaBuild, name: string): Tensor | undefined {
  return build.gradients === undefined ? undefined : gradientOf(build, name);
}

function tensorOf(tensors: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new TypeError(`Llama: there is no parameter ${name}`);
  return tensor;
}

/** Plans a matrix product and appends the plan to `plans`. */
export function product(
  { workspace, kernels }: LlamaBuild,
  plans: Plan[],
  options: {
    readonly left: Tensor;
    readonly right: RightOperand;
    readonly transposeLeft?: boolean;
    readonly transposeRight?: boolean;
    readonly product?: Tensor;
  },
): Tensor {
  const variant = kernels.matmul === undefined ? {} : { variant: kernels.matmul };
  return workspace.add(plans, planImageMatmul(workspace.gpu, { ...options, ...variant })).product;
}

function weightsOf(build: LlamaBuild, name: string): RightOperand {
  return build.images?.get(name) ?? parameterOf(build, name);
}

/** Plans a linear map y = x Wᵀ, with x `[B, T, inputs]` and the parameter W `[outputs, inputs]`. */
export function linear(build: LlamaBuild, plans: Plan[], input: Tensor, name: string): Tensor {
  return product(build, plans, {
    left: input,
    right: weightsOf(build, name),
    transposeRight: true,
  });
}

/**
 * Plans the backward pass of a linear map: the loss's gradient with respect to the map's input and,
 * if parameters' gradients are wanted, with respect to its parameter.
 *
 * @returns the gradient with respect to the input
 */
export function linearBackward(
  build: LlamaBuild,
  plans: Plan[],
  { name, input, outputGradient }: {
    readonly name: string;
    readonly input: Tensor;
    readonly outputGradient: Tensor;
  },
): Tensor {
  const gradient = wantedGradientOf(build, name);
  if (gradient !== undefined) {
    product(build, plans, {
      left: rowsOf(build, outputGradient),
      right: rowsOf(build, input),
      transposeLeft: true,
      product: gradient,
    });
  }
  return product(build, plans, { left: outputGradient, right: weightsOf(build, name) });
}

/** Views `[B, T, n]` as `[B · T, n]`. */
export function rowsOf({ workspace }: LlamaBuild, tensor: Tensor): Tensor {
  const columns = tensor.shape.at(-1) ?? 1;
  return workspace.view(tensor, [tensor.length / columns, columns]);
}
