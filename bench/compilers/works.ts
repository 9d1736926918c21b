/** Which kernels are compiled: every operator's variants on usual lengths, and what a model needs beside them. */
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Kernel } from "../../src/gpu/pipelines.ts";
import { recordPlan } from "../../src/gpu/dry_gpu.ts";
import * as modelKernels from "../../src/ops/model/kernels.ts";
import { type Dimensions, tunableOperators } from "../../src/ops/tuning/operators.ts";

/** What `--kernels` chooses from, with the operators of each. */
export const families = {
  "attention": ["attentionForward", "attentionBackward"],
  "rms-norm": ["rmsNormForward", "rmsNormBackward"],
  "v-scale": ["vScaleForward", "vScaleBackward"],
  "matmul": ["matmul"],
  "model": [],
} as const;

/** One of {@linkcode families}. */
export type Family = keyof typeof families;

/** All of them. */
export const familyNames: readonly Family[] = Object.keys(families) as Family[];

/** Which kernels. */
export interface KernelSelection {
  readonly kernels: readonly Family[];
  /** Names of variants; `all` for every one that tuning would try and those in f16; `chosen` for defaults. */
  readonly variants: "all" | "chosen" | readonly string[];
  /** Lengths in place of the usual ones, for the operators that have them. */
  readonly lengths: Dimensions;
}

/** A kernel to compile. */
export interface Work {
  readonly operator: string;
  readonly variant: string;
  /** The lengths of the call, such as `T1024 D64`. */
  readonly shape: string;
  /** The file of the kernel. */
  readonly file: string;
  /** Whether a call without a wish runs it. */
  readonly chosen: boolean;
  /** WGSL. */
  readonly code: string;
}

const usualLengths: Readonly<Record<string, readonly Dimensions[]>> = {
  attention: [1024, 4096].flatMap((T) => [64, 128].map((D) => ({ B: 1, Hq: 8, Hkv: 8, T, D }))),
  rmsNorm: [1024, 2048, 4096].map((d) => ({ rows: 4096, d })),
  vScale: [64, 128].map((D) => ({ B: 1, Hkv: 8, T: 1024, D })),
  matmul: [512, 2048].map((length) => ({ B: 1, M: length, N: length, K: length })),
};

/**
 * The calls of an operator.
 *
 * @param operator its name
 * @param lengths in place of the usual ones
 * @returns each once
 */
export function callsOf(operator: string, lengths: Dimensions): Dimensions[] {
  const family = operator.replace(/(Forward|Backward)$/, "");
  const { dimensionNames } = tunableOperators.get(operator)!;
  const own = Object.entries(lengths).filter(([name]) => dimensionNames.includes(name));
  const calls = (usualLengths[family] ?? []).map((usual) => ({
    ...usual,
    ...Object.fromEntries(own),
  }));
  const unique = new Map(calls.map((call) => [JSON.stringify(call), call]));
  return [...unique.values()];
}

/** Lengths that tables leave out where they are as usual. */
const USUAL: Dimensions = { B: 1, Hq: 8, Hkv: 8, rows: 4096 };

/**
 * A call's lengths in a few characters.
 *
 * @param dimensions by name
 * @returns for example `T1024 D64`, or `2048³`
 */
export function shapeText(dimensions: Dimensions): string {
  const { M, N, K, ...rest } = dimensions;
  const others = Object.entries(rest).filter(([name, length]) => USUAL[name] !== length)
    .map(([name, length]) => `${name}${length}`);
  if (M === undefined) return others.join(" ");
  const sides = M === N && N === K ? `${M}³` : `${M}×${N}×${K}`;
  return [sides, ...others].join(" ");
}

/**
 * Lists the kernels of a selection on a GPU.
 *
 * @param dry made by `createDryGpu`: the lists of what kernels are made of are kept as they are compiled on it
 * @param selection which kernels
 */
export function listWorks(dry: Gpu, selection: KernelSelection): Work[] {
  const files = overhearFiles(dry);
  const works: Work[] = [];
  for (const family of selection.kernels) {
    if (family === "model") works.push(...modelWorks(dry, files));
    for (const name of families[family]) {
      works.push(...operatorWorks(dry, files, { name, selection }));
    }
  }
  return works;
}

// By WGSL: the file of a kernel is that of its last part.
function overhearFiles(dry: Gpu): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const get = dry.pipelines.get.bind(dry.pipelines);
  dry.pipelines.get = (operator, kernel) => {
    const pipeline = get(operator, kernel);
    const { code } = pipeline as unknown as { readonly code: string };
    files.set(code, kernel.parts.at(-1)!.file);
    return pipeline;
  };
  return files;
}

function operatorWorks(
  dry: Gpu,
  files: ReadonlyMap<string, string>,
  { name, selection }: { readonly name: string; readonly selection: KernelSelection },
): Work[] {
  const operator = tunableOperators.get(name)!;
  const { variants: wanted, lengths } = selection;
  const works: Work[] = [];
  for (const call of callsOf(name, lengths)) {
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
        const file = files.get(code)!;
        const shape = shapeText(call);
        works.push({ operator: name, variant, shape, file, chosen: variant === chosen, code });
      }
    }
  }
  return works;
}

// Their functions take the length of a row, or of a head for projections.
function modelWorks(dry: Gpu, files: ReadonlyMap<string, string>): Work[] {
  return Object.entries(modelKernels).map(([name, given]): Work => {
    const columns = name.includes("rojections") ? 64 : 1024;
    const made: unknown = typeof given === "function"
      ? (given as (columns: number) => unknown)(columns)
      : given;
    const kernel = (made as { readonly kernel?: Kernel }).kernel ?? made as Kernel;
    const { code } = dry.pipelines.get(name, kernel) as unknown as { readonly code: string };
    const file = files.get(code)!;
    return { operator: "model", variant: name, shape: `d${columns}`, file, chosen: true, code };
  });
}
