/**
 * The shapes that are measured: layers of real models by name, whole for hardware, and slices of them
 * (fewer heads, shorter sequences) for adapters that compute on the CPU.
 *
 * Model dimensions come from the models' published `config.json` files; those named `paper-…` from Chen,
 * Lin, Yao, arXiv 2603.17771, the from-scratch runs of 0.1B, 0.3B and 1B parameters.
 */

/** What is measured, by the name that results carry. */
export type KernelName =
  | "attention"
  | "attention-v-scale-full"
  | "attention-v-scale-backward-only"
  | "rms-norm"
  | "v-scale"
  | "attention-sink-statistics"
  | "matmul";

/** The direction of a measured operator. */
export type PassName = "forward" | "backward";

/** How many shapes: `quick` one or two, `default` a handful, `full` all. Each holds the ones before. */
export type GridName = "quick" | "default" | "full";

/** A shape of one kernel. */
export interface Shape {
  /** A model's name, followed by what differs from it: `-h8` query heads, `-t256` tokens, `-b4` sequences. */
  readonly name: string;
  /**
   * Lengths by name: `{ B, Hq, Hkv, T, D }` for attention and its sink statistics, `{ B, Hkv, T, D }` for
   * V-scale, `{ rows, d }` for RMSNorm, `{ B, M, N, K, transposeLeft?, transposeRight? }` for the matrix product, whose
   * switches are 1 where an operand is stored transposed.
   */
  readonly dimensions: Readonly<Record<string, number>>;
}

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
  /** T: the training context, or for long-context models a common prompt length. */
  readonly sequenceLength: number;
}

/** The model layers, by name. */
export const modelShapes = {
  "paper-0.1b": model(8, 8, { headDim: 64, modelWidth: 512, sequenceLength: 1024 }),
  "paper-0.3b": model(8, 4, { headDim: 128, modelWidth: 1024, sequenceLength: 2048 }),
  "paper-1b": model(16, 8, { headDim: 128, modelWidth: 2048, sequenceLength: 2048 }),
  "gpt2-small": model(12, 12, { headDim: 64, modelWidth: 768, sequenceLength: 1024 }),
  "qwen2.5-0.5b": model(14, 2, { headDim: 64, modelWidth: 896, sequenceLength: 2048 }),
  "llama-3.2-1b": model(32, 8, { headDim: 64, modelWidth: 2048, sequenceLength: 2048 }),
  "gemma-3-1b": model(4, 1, { headDim: 256, modelWidth: 1152, sequenceLength: 2048 }),
  "qwen3-8b": model(32, 8, { headDim: 128, modelWidth: 4096, sequenceLength: 2048 }),
} as const satisfies Record<string, ModelShape>;

/** The name of a model in {@linkcode modelShapes}. */
export type ModelName = keyof typeof modelShapes;

/** All kernels that can be measured, each with its passes. */
export const kernelPasses: Readonly<Record<KernelName, readonly PassName[]>> = {
  "attention": ["forward", "backward"],
  "attention-v-scale-full": ["forward", "backward"],
  "attention-v-scale-backward-only": ["forward", "backward"],
  "rms-norm": ["forward", "backward"],
  "v-scale": ["forward", "backward"],
  "attention-sink-statistics": ["forward"],
  "matmul": ["forward"],
};

/** A model's layer, or what of it is measured; from `grid` on. */
interface Entry {
  readonly grid: GridName;
  readonly model: ModelName;
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
  { grid: "full", model: "qwen2.5-0.5b" },
  { grid: "full", model: "gemma-3-1b" },
  { grid: "full", model: "paper-0.1b", batches: 8 },
  { grid: "full", model: "llama-3.2-1b", sequenceLength: 256 },
  { grid: "full", model: "llama-3.2-1b", sequenceLength: 8192 },
  { grid: "full", model: "paper-0.1b", sequenceLength: 16384 },
];

// Slices keep D and the ratio of query heads to key heads. A whole layer of the smallest model takes a CPU
// about a second for a backward pass.
const softwareAttention: readonly Entry[] = [
  { grid: "quick", model: "llama-3.2-1b", queryHeads: 4, sequenceLength: 256 },
  { grid: "default", model: "paper-0.3b", queryHeads: 2, sequenceLength: 256 },
  { grid: "default", model: "paper-0.1b", queryHeads: 4, sequenceLength: 512 },
  { grid: "full", model: "gpt2-small", queryHeads: 3, sequenceLength: 256 },
  { grid: "full", model: "qwen3-8b", queryHeads: 4, sequenceLength: 256 },
  { grid: "full", model: "gemma-3-1b", queryHeads: 4, sequenceLength: 256 },
  { grid: "full", model: "llama-3.2-1b", queryHeads: 8, sequenceLength: 512 },
  { grid: "full", model: "paper-0.1b" },
];

const softwareRows: readonly Entry[] = [
  { grid: "quick", model: "llama-3.2-1b", sequenceLength: 512 },
  { grid: "default", model: "paper-0.1b" },
  { grid: "full", model: "gpt2-small" },
  { grid: "full", model: "paper-0.3b" },
  { grid: "full", model: "qwen3-8b", sequenceLength: 512 },
  { grid: "full", model: "gemma-3-1b", sequenceLength: 1024 },
];

/** A matrix product; from `grid` on. */
interface MatmulEntry extends Shape {
  readonly grid: GridName;
}

// A linear layer of `inputs` to `outputs` features on T tokens multiplies by its weight [outputs, inputs] transposed; its
// two gradients are products again, of the other transpositions.
function layer(
  name: string,
  { T, inputs, outputs }: Readonly<Record<"T" | "inputs" | "outputs", number>>,
  [forward, inputGradient, weightGradient]: readonly [GridName, GridName, GridName],
): MatmulEntry[] {
  const B = 1;
  return [{
    grid: forward,
    name,
    dimensions: { B, M: T, N: outputs, K: inputs, transposeRight: 1 },
  }, {
    grid: inputGradient,
    name: `${name}-input-gradient`,
    dimensions: { B, M: T, N: inputs, K: outputs },
  }, {
    grid: weightGradient,
    name: `${name}-weight-gradient`,
    dimensions: { B, M: outputs, N: inputs, K: T, transposeLeft: 1 },
  }];
}

function square(grid: GridName, length: number, batches = 1): MatmulEntry {
  const dimensions = { B: batches, M: length, N: length, K: length };
  return { grid, name: `square-${length}${batches === 1 ? "" : `-b${batches}`}`, dimensions };
}

// One row, or one column, and a square matrix.
function thin(grid: GridName, length: number): MatmulEntry[] {
  return [
    { grid, name: `row-${length}`, dimensions: { B: 1, M: 1, N: length, K: length } },
    { grid, name: `column-${length}`, dimensions: { B: 1, M: length, N: 1, K: length } },
  ];
}

const hardwareMatmul: readonly MatmulEntry[] = [
  square("quick", 2048),
  ...layer("paper-0.1b-up", { T: 8192, inputs: 512, outputs: 1408 }, ["default", "full", "full"]),
  square("full", 4096),
  square("full", 512),
];

const softwareMatmul: readonly MatmulEntry[] = [
  square("quick", 512),
  ...layer("small-up", { T: 2048, inputs: 128, outputs: 352 }, ["default", "default", "default"]),
  ...layer("small-down", { T: 2048, inputs: 352, outputs: 128 }, ["full", "full", "full"]),
  square("full", 256),
  // Lengths that fill no tile, each beside ones that do.
  square("default", 513),
  square("full", 511),
  ...layer("slim-up", { T: 2048, inputs: 128, outputs: 96 }, ["full", "full", "full"]),
  ...layer("odd-slim-up", { T: 2049, inputs: 129, outputs: 97 }, ["full", "full", "full"]),
  square("full", 32, 64),
  square("full", 33, 64),
  square("full", 64, 64),
  square("full", 63, 64),
  ...thin("full", 1024),
  ...thin("full", 1023),
];

const grids: readonly GridName[] = ["quick", "default", "full"];

function model(
  queryHeads: number,
  keyValueHeads: number,
  rest: Omit<ModelShape, "queryHeads" | "keyValueHeads">,
): ModelShape {
  return { queryHeads, keyValueHeads, ...rest };
}

function toShape(kernel: KernelName, entry: Entry): Shape {
  const whole: ModelShape = modelShapes[entry.model];
  const group = whole.queryHeads / whole.keyValueHeads;
  const Hq = entry.queryHeads ?? whole.queryHeads;
  const T = entry.sequenceLength ?? whole.sequenceLength;
  const B = entry.batches ?? 1;
  const suffix = (Hq === whole.queryHeads || kernel === "rms-norm" ? "" : `-h${Hq}`) +
    (T === whole.sequenceLength ? "" : `-t${T}`) + (B === 1 ? "" : `-b${B}`);
  const name = entry.model + suffix;
  if (kernel === "rms-norm") return { name, dimensions: { rows: B * T, d: whole.modelWidth } };
  const Hkv = Hq / group;
  const D = whole.headDim;
  if (kernel === "v-scale") return { name, dimensions: { B, Hkv, T, D } };
  return { name, dimensions: { B, Hq, Hkv, T, D } };
}

/** Which shapes {@linkcode shapesOf} lists. */
export interface ShapesOptions {
  /** Default: `default`. */
  readonly grid?: GridName;
  /** Whether the adapter computes on the CPU (`gpu.info.software`). */
  readonly software: boolean;
}

/**
 * The shapes a kernel is measured on, the quick ones first. Models whose layers are the same to this kernel
 * appear once, under the first one's name.
 *
 * @param kernel the kernel's name
 * @param options the grid, and whether the adapter computes on the CPU
 * @returns at least one shape; no two have the same name or the same dimensions
 * @throws {RangeError} if there is no such kernel or grid
 *
 * @example
 * ```ts
 * import { shapesOf } from "./shapes.ts";
 *
 * for (const { name, dimensions } of shapesOf("attention", { software: false })) {
 *   console.log(name, dimensions.Hq, dimensions.T);
 * }
 * ```
 */
export function shapesOf(kernel: KernelName, options: ShapesOptions): readonly Shape[] {
  const { grid = "default", software } = options;
  checkName(kernel, { name: "kernel", known: Object.keys(kernelPasses) });
  checkName(grid, { name: "grid", known: grids });
  const seen = new Set<string>();
  return allShapes(kernel, software)
    .filter((entry) => grids.indexOf(entry.grid) <= grids.indexOf(grid))
    .map(({ name, dimensions }): Shape => ({ name, dimensions }))
    .filter(({ dimensions }) => {
      const key = JSON.stringify(dimensions);
      return !seen.has(key) && seen.add(key);
    });
}

/**
 * The shape of this name, from any grid, for hardware or software: one can be asked for on either.
 *
 * @param kernel the kernel's name
 * @param name the shape's name
 * @returns the shape
 * @throws {RangeError} if the kernel has no such shape
 */
export function shapeNamed(kernel: KernelName, name: string): Shape {
  checkName(kernel, { name: "kernel", known: Object.keys(kernelPasses) });
  const shapes = [...allShapes(kernel, false), ...allShapes(kernel, true)];
  const known = shapes.map((shape) => shape.name);
  checkName(name, { name: "shape", known });
  const { dimensions } = shapes[known.indexOf(name)]!;
  return { name, dimensions };
}

function allShapes(kernel: KernelName, software: boolean): readonly MatmulEntry[] {
  if (kernel === "matmul") return software ? softwareMatmul : hardwareMatmul;
  return entriesOf(kernel, software)
    .map((entry) => ({ grid: entry.grid, ...toShape(kernel, entry) }));
}

function entriesOf(kernel: KernelName, software: boolean): readonly Entry[] {
  if (!software) return hardware;
  // What reads each number once takes whole layers also on a CPU, or nearly.
  return kernel === "rms-norm" || kernel === "v-scale" ? softwareRows : softwareAttention;
}

function checkName(
  given: string,
  { name, known }: { readonly name: string; readonly known: readonly string[] },
): void {
  if (known.includes(given)) return;
  const wanted = [...new Set(known)].join(", ");
  throw new RangeError(`shapes: ${name} is ${JSON.stringify(given)}, wanted one of ${wanted}`);
}
