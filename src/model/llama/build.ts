/** The tensors and variants that all plans of a Llama share. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { attentionBackwardVariants } from "../../ops/attention/backward_variants.ts";
import { attentionForwardVariants } from "../../ops/attention/forward_variants.ts";
import type { AttentionShape } from "../../ops/attention/shape.ts";
import { planMatmul } from "../../ops/matmul.ts";
import { rotaryAngles } from "../../ops/model/projections.ts";
import type { Variant } from "../../ops/shared/variants.ts";
import { type LlamaConfig, vScaleConstant } from "../../reference/llama/config.ts";
import { ropeFrequencies } from "../../reference/llama/rope.ts";
import type { Workspace } from "../workspace.ts";

/**
 * Which kernels to take where there is a choice. `steps`: those that run fastest, for trainings,
 * even where an adapter that computes on the CPU compiles them for seconds (once; drivers keep what
 * they compiled). `start`: those that compile fastest, for a few steps.
 */
export type KernelPreference = "steps" | "start";

/** What a {@linkcode Llama} is made from. */
export interface LlamaOptions {
  /** The model's shape. */
  readonly config: LlamaConfig;
  /** B: the sequences of a micro-batch. */
  readonly batch: number;
  /** T: the tokens of a sequence. */
  readonly context: number;
  /** The values of every parameter of `listParameters(config)`, by name. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
  /** How many micro-batches a step's gradient is the mean of. Default: 1. */
  readonly microBatches?: number;
  /** Which kernels to take where there is a choice. Default: `steps`. */
  readonly kernels?: KernelPreference;
  /**
   * The position whose key gradient, and whose queries', keep their digits where heads attend to it
   * with almost all of their weight: `precise` of `attentionBackward`, for measurements. It costs
   * half of attention's backward pass again, and memory. Default: none, the form of a training.
   */
  readonly precisePosition?: number;
}

/** The kernels by name; undefined is each operator's own choice. */
export interface KernelChoice {
  readonly matmul?: string;
  readonly attentionForward?: string;
  readonly attentionBackward?: string;
}

/** The inputs of planning, shared by all parts of a model. */
export interface LlamaBuild {
  readonly workspace: Workspace;
  readonly config: LlamaConfig;
  /** B */
  readonly batch: number;
  /** T */
  readonly context: number;
  /** The parameters as kernels read them: those of a unit by its first one's name. */
  readonly units: ReadonlyMap<string, Tensor>;
  /**
   * Where their gradients go, by the same names; undefined where only the gradients by states are
   * wanted.
   */
  readonly gradients: ReadonlyMap<string, Tensor> | undefined;
  readonly kernels: KernelChoice;
  /** cos and sin of RoPE: [T, D]. */
  readonly angles: Tensor;
  /** V-scale's constant where it is not learned: [Hkv]. */
  readonly constant: Tensor | undefined;
  /** The sinks' logits where they are not learned: [Hq]. */
  readonly sinkLogit: Tensor | undefined;
  /** The position of attention's precise backward pass; undefined for the usual form. */
  readonly precisePosition: number | undefined;
  readonly linearInput?: LinearInput;
}

/**
 * Replaces the input of a linear map, for example by its quantized values; it may add plans. Maps
 * of the same input are one, named after the first: attention's three projections, and its
 * gates, after `q_proj`, SwiGLU's two after `gate_proj`.
 */
export type LinearInput = (plans: Plan[], linear: string, input: Tensor) => Tensor;

type Candidate = Pick<Variant<AttentionShape, never>, "name" | "unfit" | "suits">;

/**
 * Chooses kernels.
 *
 * @param gpu the GPU to run on
 * @param options what is preferred, and the lengths of attention
 */
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
    // The portable one, last of each list, always suits.
    const suiting = (shape: AttentionShape) => fit.find((each) => each.suits(gpu, shape))!.name;
    const own = suiting(attention);
    // Kernels that compile for seconds are left to long sequences: over many steps they pay for
    // short ones, too.
    return own === "portable" ? suiting({ ...attention, sequenceLength: Infinity }) : own;
  };
  return {
    attentionForward: fastest(attentionForwardVariants),
    attentionBackward: fastest(attentionBackwardVariants),
  };
}

/**
 * Chooses what all parts of a model share, and uploads it to the GPU.
 *
 * @param workspace takes charge of what is made
 * @param options the model's, with the tensors of its parameters and, if they are wanted, of their
 *   gradients
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

/** A parameter, or a unit of several, by its first one's name. */
export function parameterOf({ units }: LlamaBuild, name: string): Tensor {
  return tensorOf(units, name);
}

/** Where its gradient goes. */
export function gradientOf({ gradients = new Map() }: LlamaBuild, name: string): Tensor {
  return tensorOf(gradients, name);
}

/** The same; undefined in a model that computes none. */
export function wantedGradientOf(build: LlamaBuild, name: string): Tensor | undefined {
  return build.gradients === undefined ? undefined : gradientOf(build, name);
}

function tensorOf(tensors: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new TypeError(`Llama: there is no parameter ${name}`);
  return tensor;
}

/**
 * Plans a product.
 *
 * @param build the model
 * @param plans the list to add to
 * @param options the operands
 * @returns the product
 */
export function product(
  { workspace, kernels }: LlamaBuild,
  plans: Plan[],
  options: {
    readonly left: Tensor;
    readonly right: Tensor;
    readonly transposeLeft?: boolean;
    readonly transposeRight?: boolean;
    readonly product?: Tensor;
  },
): Tensor {
  const variant = kernels.matmul === undefined ? {} : { variant: kernels.matmul };
  return workspace.add(plans, planMatmul(workspace.gpu, { ...options, ...variant })).product;
}

/** A linear map y = x Wᵀ of rows `[B, T, inputs]` by a parameter `[outputs, inputs]`. */
export function linear(build: LlamaBuild, plans: Plan[], input: Tensor, name: string): Tensor {
  return product(build, plans, {
    left: input,
    right: parameterOf(build, name),
    transposeRight: true,
  });
}

/**
 * Plans the gradients of a linear map: that by its parameter, into its place if it has one, and
 * that by its input.
 *
 * @returns the gradient by its input
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
  return product(build, plans, { left: outputGradient, right: parameterOf(build, name) });
}

/** `[B, T, n]` as `[B · T, n]`. */
export function rowsOf({ workspace }: LlamaBuild, tensor: Tensor): Tensor {
  const columns = tensor.shape.at(-1) ?? 1;
  return workspace.view(tensor, [tensor.length / columns, columns]);
}
