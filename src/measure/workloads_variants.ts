/** The kernels that an operator has, and the one that runs by default. */
import type { Gpu } from "../gpu/gpu.ts";
import { attentionBackwardVariants } from "../ops/attention_backward_variants.ts";
import { attentionForwardVariants } from "../ops/attention_forward_variants.ts";
import { attentionShapeClass } from "../ops/attention_shape.ts";
import { rmsNormBackwardVariants } from "../ops/rms_norm_backward_variants.ts";
import { rmsNormForwardVariants } from "../ops/rms_norm_forward_variants.ts";
import { rowShapeClass } from "../ops/row_parts.ts";
import { vScaleBackwardVariants, vScaleForwardVariants } from "../ops/v_scale_variants.ts";
import { chooseVariant, type Variant } from "../ops/variants.ts";
import type { KernelName, PassName, Shape } from "./shapes.ts";

/** A kernel in one direction on a shape. */
export interface VariantQuestion {
  readonly kernel: KernelName;
  readonly pass: PassName;
  readonly shape: Shape;
}

type Lengths = Readonly<Record<string, number>>;

interface Choice {
  readonly names: readonly string[];
  /** What runs where nobody asks for another. */
  choose(gpu: Gpu, dimensions: Lengths): string;
}

function choice<OperatorShape, Call>(
  operator: string,
  variants: readonly Variant<OperatorShape, Call>[],
  { toShape, toClass }: {
    readonly toShape: (dimensions: Lengths) => OperatorShape;
    readonly toClass: (shape: OperatorShape) => string;
  },
): Choice {
  return {
    names: variants.map(({ name }) => name),
    choose(gpu, dimensions) {
      const shape = toShape(dimensions);
      const shapeClass = toClass(shape);
      return chooseVariant(gpu, variants, { operator, shapeClass, shape, wanted: undefined }).name;
    },
  };
}

function attentionShape({ B, Hq, Hkv, T, D }: Lengths): Parameters<typeof attentionShapeClass>[0] {
  return { batches: B!, queryHeads: Hq!, keyValueHeads: Hkv!, sequenceLength: T!, headDim: D! };
}

const ofAttention = { toShape: attentionShape, toClass: attentionShapeClass };
const ofRows = {
  toShape: ({ rows, d }: Lengths) => ({ rows: rows!, columns: d! }),
  toClass: rowShapeClass,
};
const ofValues = {
  toShape: ({ B, Hkv, T, D }: Lengths) => ({
    batches: B!,
    keyValueHeads: Hkv!,
    sequenceLength: T!,
    rows: B! * Hkv! * T!,
    columns: D!,
  }),
  toClass: rowShapeClass,
};

const attention = {
  forward: choice("attentionForward", attentionForwardVariants, ofAttention),
  backward: choice("attentionBackward", attentionBackwardVariants, ofAttention),
};
const single: Choice = { names: ["portable"], choose: () => "portable" };

const choices: Readonly<Record<KernelName, Readonly<Partial<Record<PassName, Choice>>>>> = {
  "attention": attention,
  "attention-v-scale-full": attention,
  "attention-v-scale-backward-only": attention,
  "rms-norm": {
    forward: choice("rmsNormForward", rmsNormForwardVariants, ofRows),
    backward: choice("rmsNormBackward", rmsNormBackwardVariants, ofRows),
  },
  "v-scale": {
    forward: choice("vScaleForward", vScaleForwardVariants, ofValues),
    backward: choice("vScaleBackward", vScaleBackwardVariants, ofValues),
  },
  "attention-sink-statistics": { forward: single },
};

function choiceOf(kernel: KernelName, pass: PassName): Choice {
  const found = choices[kernel]?.[pass];
  if (found === undefined) {
    const known = Object.entries(choices)
      .flatMap(([name, passes]) => Object.keys(passes).map((each) => `${name} ${each}`)).join(", ");
    throw new RangeError(
      `workloads: kernel and pass are ${kernel} ${pass}, wanted one of ${known}`,
    );
  }
  return found;
}

/**
 * The names of an operator's kernels. Not every adapter and shape can run each of them.
 *
 * @param kernel the kernel's name
 * @param pass its direction
 * @returns in order of preference; `portable` is among them
 * @throws {RangeError} for an unknown kernel or pass
 */
export function variantsOf(kernel: KernelName, pass: PassName): readonly string[] {
  return choiceOf(kernel, pass).names;
}

/**
 * The name of the kernel that a call without a wish runs on this adapter: what tuning chose, else what suits.
 *
 * @param gpu the GPU, with tuning's choices in `gpu.variants`
 * @param question kernel, pass and shape
 * @throws {RangeError} for an unknown kernel or pass
 */
export function chosenVariant(gpu: Gpu, { kernel, pass, shape }: VariantQuestion): string {
  return choiceOf(kernel, pass).choose(gpu, shape.dimensions);
}
