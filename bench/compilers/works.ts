/**
 * Lists the kernels to compile: every operator's variants on usual lengths, and a model's other
 * kernels.
 */
import type { Gpu } from "../../src/gpu/gpu.ts";
import { recordPlan } from "../../src/gpu/dry_gpu.ts";
import { Llama } from "../../src/model/llama.ts";
import { AdamW } from "../../src/model/optimizer.ts";
import { type Dimensions, tunableOperators } from "../../src/ops/tuning/operators.ts";
import { initialParameters } from "../../src/reference/llama/parameters.ts";
import { PLAIN_LLAMA } from "../../src/reference/llama/config.ts";

/** The choices of `--kernels`, with the operators of each. */
export const families = {
  "attention": ["attentionForward", "attentionBackward"],
  "rms-norm": ["rmsNormForward", "rmsNormBackward"],
  "v-scale": ["vScaleForward", "vScaleBackward"],
  "matmul": ["matmul"],
  "model": [],
} as const;

/** One of {@linkcode families}. */
export type Family = keyof typeof families;

/** The names of all families. */
export const familyNames: readonly Family[] = Object.keys(families) as Family[];

/** The selection of kernels. */
export interface KernelSelection {
  readonly kernels: readonly Family[];
  /**
   * The names of the variants. `all` means every variant that tuning tries, and the variants in
   * f16. `chosen` means each call's default.
   */
  readonly variants: "all" | "chosen" | readonly string[];
  /** Lengths that replace the lengths of the same names in each operator's calls. */
  readonly lengths: Dimensions;
  /** The calls of each family. Default: `usualCalls`. */
  readonly calls?: Calls;
}

/** Calls by family. */
export type Calls = Readonly<Partial<Record<Family, readonly Dimensions[]>>>;

/** A kernel to compile. */
export interface Work {
  readonly operator: string;
  readonly variant: string;
  /** The lengths of the call, such as `T1024 D64`. */
  readonly shape: string;
  /** The file of the kernel. */
  readonly file: string;
  /** Whether it runs by default. */
  readonly chosen: boolean;
  /** WGSL. */
  readonly code: string;
}

const usualCalls: Calls = {
  attention: [1024, 4096].flatMap((T) => [64, 128].map((D) => ({ B: 1, Hq: 8, Hkv: 8, T, D }))),
  "rms-norm": [1024, 2048, 4096].map((d) => ({ rows: 4096, d })),
  "v-scale": [64, 128].map((D) => ({ B: 1, Hkv: 8, T: 1024, D })),
  matmul: [512, 2048].map((length) => ({ B: 1, M: length, N: length, K: length })),
};

const headDims = [16, 32, 64, 80, 96, 112, 128, 160, 192, 256];

/**
 * The calls of `--check`, on which no default kernel may spill registers. Unlike the usual calls,
 * they also have other head dimensions, eight query heads per key head, learned sinks, odd lengths,
 * and matrix products with partial tiles, batches or transposed sides.
 */
export const checkedCalls: Calls = {
  attention: headDims.flatMap((D) => [
    { B: 1, Hq: 8, Hkv: 8, T: 1024, D },
    { B: 1, Hq: 8, Hkv: 1, T: 1023, D },
    { B: 1, Hq: 8, Hkv: 8, T: 4096, D },
    { B: 1, Hq: 8, Hkv: 8, T: 1024, D, sink: 1 },
    { B: 1, Hq: 8, Hkv: 8, T: 4096, D, sink: 1 },
  ]),
  "rms-norm": [64, 768, 1000, 1024, 2048, 4096, 8192].map((d) => ({ rows: 4096, d })),
  "v-scale": headDims.map((D) => ({ B: 1, Hkv: 8, T: 1024, D })),
  matmul: [
    ...usualCalls.matmul!,
    { B: 1, M: 1, N: 4096, K: 4096 },
    { B: 1, M: 127, N: 129, K: 65 },
    { B: 1, M: 4096, N: 1000, K: 1024 },
    { B: 8, M: 256, N: 256, K: 64 },
    ...[[1, 0], [0, 1]].map(([transposeLeft, transposeRight]) => ({
      ...usualCalls.matmul![1]!,
      transposeLeft: transposeLeft!,
      transposeRight: transposeRight!,
    })),
  ],
};

/**
 * The calls of an operator; calls that `lengths` make equal are listed once.
 *
 * @param selection its `lengths` replace the lengths of the same name in each of its `calls`
 */
export function callsOf(
  operator: string,
  { lengths, calls = usualCalls }: Pick<KernelSelection, "lengths" | "calls">,
): Dimensions[] {
  const family = familyNames.find((name) =>
    (families[name] as readonly string[]).includes(operator)
  );
  const { dimensionNames } = tunableOperators.get(operator)!;
  const own = Object.entries(lengths).filter(([name]) => dimensionNames.includes(name));
  const changed = (calls[family!] ?? []).map((call) => ({ ...call, ...Object.fromEntries(own) }));
  return [...new Map(changed.map((call) => [JSON.stringify(call), call])).values()];
}

/** The usual lengths. Tables name a call's length only if it differs from these. */
const USUAL: Dimensions = { B: 1, Hq: 8, Hkv: 8, rows: 4096 };

/** A call's lengths in a few characters, for example `T1024 D64` or `2048³`. */
export function shapeText(dimensions: Dimensions): string {
  const { M, N, K, ...rest } = dimensions;
  const others = Object.entries(rest).filter(([name, length]) => USUAL[name] !== length)
    .map(([name, length]) => `${name}${length}`);
  if (M === undefined) return others.join(" ");
  const sides = M === N && N === K ? `${M}³` : `${M}×${N}×${K}`;
  return [sides, ...others].join(" ");
}

/** A kernel that a plan requested. */
interface Heard {
  readonly operator: string;
  readonly file: string;
  readonly code: string;
}

/**
 * Lists the kernels of a selection on a GPU.
 *
 * @param dry made by `createDryGpu`; its compilations are recorded from now on
 */
export function listWorks(dry: Gpu, selection: KernelSelection): Work[] {
  const heard = overhear(dry);
  return selection.kernels.flatMap((family) =>
    family === "model"
      ? modelWorks(dry, heard)
      : families[family].flatMap((name) => operatorWorks(dry, heard, { name, selection }))
  );
}

// Records every kernel that is compiled. `file` names the last of the kernel's WGSL parts.
function overhear(dry: Gpu): readonly Heard[] {
  const heard: Heard[] = [];
  const compile = dry.pipelines.compile.bind(dry.pipelines);
  dry.pipelines.compile = (operator, kernel) => {
    heard.push({ operator, file: kernel.parts.at(-1)!.file, code: kernel.code });
    return compile(operator, kernel);
  };
  return heard;
}

function operatorWorks(
  dry: Gpu,
  heard: readonly Heard[],
  { name, selection }: { readonly name: string; readonly selection: KernelSelection },
): Work[] {
  const operator = tunableOperators.get(name)!;
  const { variants: wanted } = selection;
  const works: Work[] = [];
  for (const call of callsOf(name, selection)) {
    const chosen = operator.choose(dry, call);
    const names = [...operator.variants, ...operator.namedOnly].filter((variant) =>
      wanted === "all" || (wanted === "chosen" ? variant === chosen : wanted.includes(variant))
    );
    for (const variant of names) {
      const named = typeof wanted !== "string";
      if (operator.unfit(dry, call, variant, { named }) !== undefined) continue;
      using plan = operator.plan(dry, call, variant);
      const codes = new Set(recordPlan(plan).dispatches.map(({ code }) => code));
      for (const code of codes) {
        const { file } = heard.find((each) => each.code === code)!;
        const shape = shapeText(call);
        works.push({ operator: name, variant, shape, file, chosen: variant === chosen, code });
      }
    }
  }
  return works;
}

const modelConfig = {
  vocabulary: 1024,
  layers: 1,
  modelDim: 256,
  queryHeads: 4,
  keyValueHeads: 2,
  headDim: 64,
  feedForwardDim: 512,
  ...PLAIN_LLAMA,
  tiedHead: true,
  vScale: "learned" as const,
};

// The kernels that training a model runs, except the kernels of operators with several variants.
function modelWorks(dry: Gpu, heard: readonly Heard[]): Work[] {
  const before = heard.length;
  const parameters = initialParameters(modelConfig, { seed: 1 });
  using model = new Llama(dry, { config: modelConfig, batch: 2, context: 64, parameters });
  using _optimizer = new AdamW(dry, model);
  const others = heard.slice(before).filter(({ operator }) => !tunableOperators.has(operator));
  const byCode = new Map(others.map((each) => [each.code, each]));
  return [...byCode.values()].map(({ operator, file, code }) => ({
    operator: "model",
    variant: operator,
    shape: "",
    file,
    chosen: true,
    code,
  }));
}
