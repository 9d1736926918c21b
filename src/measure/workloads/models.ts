/**
 * Shapes from the layers of real models. Hardware gets layers with all their heads. Adapters that
 * compute on the CPU get mostly slices, with fewer heads or shorter sequences.
 *
 * Model dimensions come from the models' published `config.json` files. The models named `paper-…`
 * are those of 0.1B, 0.3B and 1B parameters that Chen, Lin and Yao, arXiv 2603.17771, train from
 * scratch.
 */
import type { GridName, GridShape } from "./operator.ts";

/** The attention layer of a model. */
export interface ModelShape {
  /** Hq */
  readonly queryHeads: number;
  /** Hkv */
  readonly keyValueHeads: number;
  /** D */
  readonly headDim: number;
  /** d_model, the length of an RMSNorm row. */
  readonly modelWidth: number;
  /** T: the training context, or a common prompt length for long-context models. */
  readonly sequenceLength: number;
}

/** The model layers, by name. */
export const modelShapes = {
  "paper-0.1b": model(8, 8, { headDim: 64, modelWidth: 512, sequenceLength: 1024 }),
  "paper-0.3b": model(8, 4, { headDim: 128, modelWidth: 1024, sequenceLength: 2048 }),
  "paper-1b": model(16, 8, { headDim: 128, modelWidth: 2048, sequenceLength: 2048 }),
  "gpt2-small": model(12, 12, { headDim: 64, modelWidth: 768, sequenceLength: 1024 }),
  "smollm2-135m": model(9, 3, { headDim: 64, modelWidth: 576, sequenceLength: 2048 }),
  "qwen2.5-0.5b": model(14, 2, { headDim: 64, modelWidth: 896, sequenceLength: 2048 }),
  "qwen3-0.6b": model(16, 8, { headDim: 128, modelWidth: 1024, sequenceLength: 2048 }),
  "llama-3.2-1b": model(32, 8, { headDim: 64, modelWidth: 2048, sequenceLength: 2048 }),
  "gemma-3-1b": model(4, 1, { headDim: 256, modelWidth: 1152, sequenceLength: 2048 }),
  "qwen3-8b": model(32, 8, { headDim: 128, modelWidth: 4096, sequenceLength: 2048 }),
} as const satisfies Record<string, ModelShape>;

function model(
  queryHeads: number,
  keyValueHeads: number,
  rest: Omit<ModelShape, "queryHeads" | "keyValueHeads">,
): ModelShape {
  return { queryHeads, keyValueHeads, ...rest };
}

/** A shape: a model's layer or a slice of it, and the smallest grid that includes the shape. */
interface Entry {
  readonly grid: GridName;
  readonly model: keyof typeof modelShapes;
  readonly queryHeads?: number;
  readonly sequenceLength?: number;
  readonly batches?: number;
}

const hardware: readonly Entry[] = [
  { grid: "quick", model: "paper-0.1b" },
  { grid: "quick", model: "llama-3.2-1b" },
  { grid: "default", model: "gpt2-small" },
  { grid: "default", model: "paper-0.3b" },
  { grid: "default", model: "paper-1b" },
  { grid: "default", model: "qwen3-8b" },
  { grid: "full", model: "smollm2-135m" },
  { grid: "full", model: "qwen2.5-0.5b" },
  { grid: "full", model: "qwen3-0.6b", sequenceLength: 1024 },
  { grid: "full", model: "gemma-3-1b" },
  { grid: "full", model: "paper-0.1b", batches: 8 },
  { grid: "full", model: "llama-3.2-1b", sequenceLength: 256 },
  { grid: "full", model: "llama-3.2-1b", sequenceLength: 8192 },
  { grid: "full", model: "paper-0.1b", sequenceLength: 16384 },
];

// Slices keep D and the ratio of query heads to key heads. On a CPU, one backward pass of a large
// model's whole layer can take more than a second.
const softwareAttention: readonly Entry[] = [
  { grid: "quick", model: "llama-3.2-1b", queryHeads: 4, sequenceLength: 256 },
  { grid: "default", model: "paper-0.3b", queryHeads: 2, sequenceLength: 256 },
  { grid: "default", model: "paper-0.1b", queryHeads: 4, sequenceLength: 512 },
  { grid: "full", model: "gpt2-small", queryHeads: 3, sequenceLength: 256 },
  { grid: "full", model: "smollm2-135m", sequenceLength: 128 },
  { grid: "full", model: "qwen3-0.6b", queryHeads: 4, sequenceLength: 128 },
  { grid: "full", model: "qwen3-8b", queryHeads: 4, sequenceLength: 256 },
  { grid: "full", model: "gemma-3-1b", queryHeads: 4, sequenceLength: 256 },
  { grid: "full", model: "llama-3.2-1b", queryHeads: 8, sequenceLength: 512 },
  { grid: "full", model: "paper-0.1b" },
];

const softwareRows: readonly Entry[] = [
  { grid: "quick", model: "llama-3.2-1b", sequenceLength: 512 },
  { grid: "default", model: "paper-0.1b" },
  { grid: "full", model: "gpt2-small" },
  { grid: "full", model: "smollm2-135m", sequenceLength: 128 },
  { grid: "full", model: "qwen3-0.6b", sequenceLength: 128 },
  { grid: "full", model: "paper-0.3b" },
  { grid: "full", model: "qwen3-8b", sequenceLength: 512 },
  { grid: "full", model: "gemma-3-1b", sequenceLength: 1024 },
];

/** The lengths of a layer, from which operators take theirs. */
export interface LayerLengths {
  readonly B: number;
  readonly Hq: number;
  readonly Hkv: number;
  readonly T: number;
  readonly D: number;
  /** d_model */
  readonly width: number;
}

/**
 * Lists the shapes for an operator whose work grows with T². On adapters that compute on the CPU,
 * they are mostly slices of layers.
 *
 * @param lengths picks the operator's lengths from a layer's lengths
 */
export function attentionShapes<Lengths>(
  lengths: (layer: LayerLengths) => Lengths,
): (software: boolean) => GridShape<Lengths>[] {
  return (software) => (software ? softwareAttention : hardware).map((e) => toShape(e, lengths));
}

/**
 * Lists the shapes for an operator that reads each number only a few times. Even on adapters that
 * compute on the CPU, they have the layers' full width, but often fewer tokens.
 *
 * @param lengths picks the operator's lengths from a layer's lengths
 */
export function rowShapes<Lengths>(
  lengths: (layer: LayerLengths) => Lengths,
): (software: boolean) => GridShape<Lengths>[] {
  return (software) => (software ? softwareRows : hardware).map((e) => toShape(e, lengths));
}

function toShape<Lengths>(
  entry: Entry,
  lengths: (layer: LayerLengths) => Lengths,
): GridShape<Lengths> {
  const whole: ModelShape = modelShapes[entry.model];
  const Hq = entry.queryHeads ?? whole.queryHeads;
  const T = entry.sequenceLength ?? whole.sequenceLength;
  const B = entry.batches ?? 1;
  const Hkv = Hq / (whole.queryHeads / whole.keyValueHeads);
  const suffix = (Hq === whole.queryHeads ? "" : `-h${Hq}`) +
    (T === whole.sequenceLength ? "" : `-t${T}`) + (B === 1 ? "" : `-b${B}`);
  return {
    grid: entry.grid,
    name: entry.model + suffix,
    dimensions: lengths({ B, Hq, Hkv, T, D: whole.headDim, width: whole.modelWidth }),
  };
}
