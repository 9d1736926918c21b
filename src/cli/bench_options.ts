/** The bench's command line: what it takes, and what it makes of it. */
import type { OpenGpuOptions } from "../gpu/open_gpu.ts";
import type { CacheState, ResultSettings } from "../measure/result_file.ts";
import {
  type GridName,
  type KernelName,
  kernelPasses,
  type PassName,
  shapeNamed,
  shapesOf,
} from "../measure/shapes.ts";
import { variantsOf } from "../measure/workloads.ts";
import {
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  UsageError,
} from "./arguments.ts";
import { closest } from "./closest.ts";

/** What to measure. */
export interface Selection {
  readonly kernels: readonly KernelName[];
  readonly passes: readonly PassName[];
  /** A grid's name, or shapes by name. */
  readonly shapes: GridName | readonly string[];
  readonly dtypes: readonly string[];
  readonly caches: readonly CacheState[];
  readonly variants: "chosen" | "all" | readonly string[];
  readonly runtime: "deno" | "dawn";
  readonly software: NonNullable<OpenGpuOptions["software"]>;
  /** Whether the choices of `deno task tune` count. */
  readonly tuning: "on" | "off";
  readonly seed: number;
  /** Seconds for the whole run; undefined leaves it to the adapter. */
  readonly budget: number | undefined;
}

/** A command line that makes sense. */
export type BenchRequest =
  | { readonly help: true }
  | {
    readonly help: false;
    readonly selection: Selection;
    readonly out: string | undefined;
    readonly json: boolean;
    readonly label: string | undefined;
    readonly resume: string | undefined;
  };

const grids: readonly GridName[] = ["quick", "default", "full"];
const passes: readonly PassName[] = ["forward", "backward"];
const dtypes = ["f32"];
const caches: readonly CacheState[] = ["hot", "cold"];
const kernels = Object.keys(kernelPasses) as KernelName[];

const options = {
  kernels: {
    type: "value",
    placeholder: "A,B",
    description: `Kernels: ${kernels.join(", ")} (default all)`,
  },
  passes: {
    type: "value",
    placeholder: "A,B",
    description: "Passes: forward, backward (default both)",
  },
  shapes: {
    type: "value",
    placeholder: "GRID",
    description:
      "quick, default or full, or names of shapes; software adapters get smaller ones (default default)",
  },
  dtypes: { type: "value", placeholder: "A,B", description: "Number formats: f32 (default all)" },
  cache: {
    type: "value",
    placeholder: "A,B",
    description: "States of the cache: hot, cold (default both)",
  },
  variants: {
    type: "value",
    placeholder: "A,B",
    description:
      "chosen: the kernel that callers get on this adapter; all; or names (default chosen)",
  },
  runtime: {
    type: "value",
    placeholder: "NAME",
    choices: ["deno", "dawn"],
    description: "The WebGPU implementation",
    default: "deno",
  },
  software: {
    type: "value",
    placeholder: "WHEN",
    choices: ["auto", "always", "never"],
    description: "Whether an adapter that computes on the CPU will do",
    default: "auto",
  },
  tuning: {
    type: "value",
    placeholder: "WHETHER",
    choices: ["on", "off"],
    description: "Whether the kernels that deno task tune chose on this machine are measured",
    default: "on",
  },
  budget: {
    type: "value",
    placeholder: "SECONDS",
    description: "About how long the run may take (default 240, software adapters 180)",
  },
  seed: {
    type: "value",
    placeholder: "N",
    description: "Of the inputs and the order of measuring",
    default: "1",
  },
  out: {
    type: "value",
    placeholder: "FILE",
    description: "The result file, which must not exist (default results/<date>-<adapter>.json)",
  },
  label: {
    type: "value",
    placeholder: "TEXT",
    description: "A name for this machine, kept in the result file",
  },
  resume: {
    type: "value",
    placeholder: "FILE",
    description: "Goes on with an incomplete result file",
  },
  json: { type: "switch", description: "Prints the result file instead of a table" },
  help: { type: "switch", short: "h", description: "Prints this and ends" },
} as const satisfies OptionSpecifications;

/** The text of `--help`. */
export function benchHelp(): string {
  return `Measures the kernels on this machine's GPU, and what the GPU can do at best.

Usage: deno task bench [OPTIONS]

${formatOptions(options)}
Every answer is checked before its speed is reported. Results are written after each measurement; Ctrl-C ends
the run, keeps what there is, marked incomplete, and --resume goes on with it.

Exit codes:
  0    everything was measured
  1    the run could not begin or go on: no adapter, unwritable output, unreadable file
  2    a mistake in the command line
  3    it ran to the end, but some kernels were wrong, failed or timed out
  130  interrupted
`;
}

/**
 * Reads the command line.
 *
 * @param args the words after the command
 * @returns what is wanted
 * @throws {UsageError} for anything that makes no sense
 */
export function parseBench(args: readonly string[]): BenchRequest {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return { help: true };
  if (operands.length > 0) {
    throw new UsageError(`unexpected ${JSON.stringify(operands[0])}: bench takes options only`);
  }
  if (values.resume !== undefined) {
    // Only what was not in the command line can come from the file without contradiction.
    const given = Object.keys(options).find((name) =>
      !["resume", "json", "budget"].includes(name) &&
      args.some((word) => word === `--${name}` || word.startsWith(`--${name}=`))
    );
    if (given !== undefined) {
      throw new UsageError(`--${given} with --resume: the file says what is left to measure`);
    }
  }
  const { label } = values;
  // deno-lint-ignore no-control-regex
  if (label !== undefined && (label.length > 300 || /[\u0000-\u001f\u007f-\u009f]/.test(label))) {
    throw new UsageError("--label is too long or holds control characters");
  }
  return {
    help: false,
    selection: checkSelection({
      kernels: list("kernels", values.kernels),
      passes: list("passes", values.passes),
      shapes: values.shapes === undefined ? undefined : list("shapes", values.shapes),
      dtypes: list("dtypes", values.dtypes),
      caches: list("cache", values.cache),
      variants: list("variants", values.variants),
      runtime: values.runtime,
      software: values.software,
      tuning: values.tuning,
      seed: wholeNumber("seed", values.seed ?? "1"),
      budget: values.budget === undefined ? undefined : Number(values.budget),
    }),
    out: values.out,
    json: switches.json,
    label,
    resume: values.resume,
  };
}

/**
 * What an incomplete result file was asked to measure.
 *
 * @param settings of the file, which may be a stranger's
 * @param budget seconds, from the command line
 * @throws {UsageError} if they do not say what is left
 */
export function selectionOf(settings: ResultSettings, budget: number | undefined): Selection {
  const { selection } = settings;
  if (typeof selection !== "object" || selection === null) {
    throw new UsageError("--resume: the file does not say what was to be measured");
  }
  const stored = selection as Record<string, unknown>;
  const { shapes } = stored;
  return checkSelection({
    ...stored,
    shapes: typeof shapes === "string" ? [shapes] : shapes,
    seed: settings.seed,
    budget: budget ?? stored.budget,
  });
}

function list(name: string, value: string | undefined): string[] | undefined {
  if (value === undefined) return undefined;
  const items = value.split(",").map((item) => item.trim());
  if (items.includes("")) {
    throw new UsageError(`--${name} is ${JSON.stringify(value)}: an empty name`);
  }
  return [...new Set(items)];
}

function wholeNumber(name: string, value: string): number {
  const number = /^[+-]?\d+$/.test(value) ? Number(value) : NaN;
  if (!Number.isSafeInteger(number)) {
    throw new UsageError(`--${name} is ${JSON.stringify(value)}, wanted a whole number`);
  }
  return number;
}

// The fields come from a command line or from a file, so nothing is known of their types.
function checkSelection(given: { readonly [field: string]: unknown }): Selection {
  const chosen = {
    kernels: some("kernels", { given: given.kernels, known: kernels }),
    passes: some("passes", { given: given.passes, known: passes }),
    dtypes: some("dtypes", { given: given.dtypes, known: dtypes }),
    caches: some("cache", { given: given.caches, known: caches }),
    runtime: one("runtime", { given: given.runtime, known: ["deno", "dawn"] as const }),
    software: one("software", {
      given: given.software,
      known: ["auto", "always", "never"] as const,
    }),
    // Files from before there was tuning do not say.
    tuning: one("tuning", { given: given.tuning ?? "on", known: ["on", "off"] as const }),
  };
  const { seed, budget } = given;
  if (!Number.isSafeInteger(seed)) throw new UsageError(`--seed is ${seed}, wanted a whole number`);
  if (budget !== undefined && !(typeof budget === "number" && budget > 0 && budget <= 1e6)) {
    throw new UsageError(`--budget is not a number of seconds above 0`);
  }
  if (
    !chosen.kernels.some((kernel) => chosen.passes.some((p) => kernelPasses[kernel].includes(p)))
  ) {
    throw new UsageError(
      `--kernels and --passes leave nothing: ${chosen.kernels.join(", ")} has no ${
        chosen.passes.join(", ")
      }`,
    );
  }
  return {
    ...chosen,
    shapes: shapeSelection(given.shapes, chosen.kernels),
    variants: variantSelection(given.variants, chosen),
    seed: seed as number,
    budget,
  };
}

function some<Name extends string>(
  option: string,
  { given, known }: { readonly given: unknown; readonly known: readonly Name[] },
): readonly Name[] {
  if (given === undefined) return known;
  const names = Array.isArray(given) ? given as unknown[] : [given];
  for (const name of names) one(option, { given: name, known });
  return known.filter((name) => names.includes(name));
}

function one<Name extends string>(
  option: string,
  { given, known }: { readonly given: unknown; readonly known: readonly Name[] },
): Name {
  if (known.includes(given as Name)) return given as Name;
  const name = String(given).slice(0, 100);
  const near = closest(name, known);
  throw new UsageError(
    `--${option} is ${JSON.stringify(name)}, wanted ${known.join(", ")}` +
      (near === undefined ? "" : ` (did you mean ${near}?)`),
  );
}

function shapeSelection(given: unknown, chosen: readonly KernelName[]): GridName | string[] {
  if (given === undefined) return "default";
  const names = Array.isArray(given) ? given as unknown[] : [given];
  const grid = names.find((name) => grids.includes(name as GridName)) as GridName | undefined;
  if (grid !== undefined) {
    if (names.length === 1) return grid;
    throw new UsageError(`--shapes mixes the grid ${grid} with other names`);
  }
  const known = [...new Set(chosen.flatMap(namesOfShapes))];
  return names.map((name) => one("shapes", { given: name, known }));
}

function variantSelection(
  given: unknown,
  chosen: { readonly kernels: readonly KernelName[]; readonly passes: readonly PassName[] },
): Selection["variants"] {
  if (given === undefined) return "chosen";
  const names = Array.isArray(given) ? given as unknown[] : [given];
  const [first] = names;
  if (names.length === 1 && (first === "chosen" || first === "all")) return first;
  const known = chosen.kernels.flatMap((kernel) =>
    chosen.passes.filter((pass) => kernelPasses[kernel].includes(pass))
      .flatMap((pass) => variantsOf(kernel, pass))
  );
  return names.map((name) => one("variants", { given: name, known: [...new Set(known)] }));
}

/** The names of all shapes of a kernel. */
export function namesOfShapes(kernel: KernelName): string[] {
  const all = [true, false].flatMap((software) => shapesOf(kernel, { grid: "full", software }));
  return [...new Set(all.map(({ name }) => name))].filter((name) => shapeNamed(kernel, name));
}
