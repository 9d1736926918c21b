/** The command line of `deno task compilers`. */
import {
  flag,
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  takes,
  takesPath,
  UsageError,
  wrongValue,
} from "../../src/cli/shared/arguments.ts";
import {
  help,
  listOf,
  oneOf,
  refuseOperands,
  runtime,
  someOf,
} from "../../src/cli/shared/options.ts";
import { createDryGpu } from "../../src/gpu/dry_gpu.ts";
import { shapeOfLengths } from "../../src/measure/workloads/shapes.ts";
import { type Dimensions, tunableOperators } from "../../src/ops/tuning/operators.ts";
import { type PretendedGpu, pretendedGpus } from "./gpus.ts";
import {
  type Calls,
  callsOf,
  checkedCalls,
  families,
  type Family,
  familyNames,
  type KernelSelection,
} from "./works.ts";

const gpuNames = pretendedGpus.map(({ name }) => name);

const options = {
  gpus: takes("LIST", "GPUs from the list below, separated by commas (default all)"),
  kernels: takes("LIST", `Some of ${familyNames.join(", ")} (default all)`),
  variants: takes(
    "LIST",
    "chosen (the defaults), all (those that tuning tries, and those in f16), or names (default all; with --check chosen)",
  ),
  shape: takes(
    "LENGTHS",
    "Only these shapes, separated by /, such as B1,H8,T1024,D96/Hq32,Hkv4,T2048,D128/rows512,d2048/M512,N512,K512",
  ),
  lengths: takes("LIST", "Change lengths of the usual shapes, such as D=256,T=4096"),
  runtime,
  format: takes("FORM", "Output format", {
    choices: ["table", "markdown", "json"],
    default: "table",
  }),
  check: flag(
    "Fail if a default kernel spills registers; compile more shapes unless --shape or --lengths is given",
  ),
  keep: takesPath(
    "FOLDER",
    "Keep the assembly, the SPIR-V and the WGSL of every kernel in this folder",
  ),
  deadline: takes("SECONDS", "Time limit per GPU", { default: "600" }),
  drivers: takesPath(
    "FOLDER",
    "Folder of the drivers (default gradsink/compilers in the user's cache)",
  ),
  help,
} as const satisfies OptionSpecifications;

/** The options of a command line. */
export interface CompilersRequest {
  readonly gpus: readonly PretendedGpu[];
  readonly selection: KernelSelection;
  readonly runtime: "deno" | "dawn";
  readonly format: "table" | "markdown" | "json";
  readonly check: boolean;
  readonly keep: string | undefined;
  /** ms */
  readonly deadline: number;
  readonly drivers: string | undefined;
}

/** The text of `--help`. */
export function compilersHelp(): string {
  const width = Math.max(...gpuNames.map((name) => name.length)) + 2;
  const gpus = pretendedGpus.map(({ name, product }) => `  ${name.padEnd(width)}${product}\n`).join(
    "",
  );
  return `Shows how GPUs' compilers compile the kernels: registers, spills, occupancy, instructions. No GPU is needed, because
Mesa's drivers compile for simulated devices. Nothing is timed.

Usage: deno task compilers [OPTIONS]

${formatOptions(options)}
GPUs:
${gpus}
The usual shapes are attention of T 1024 and 4096 with D 64 and 128, RMSNorm of d 1024, 2048 and 4096, V-scale of D 64
and 128, and matrix products of 512³ and 2048³. --check adds D from 16 to 256, groups of eight query heads, odd lengths
and thin products.

On Linux, AMD's and Intel's GPUs run Mesa's drivers. NVIDIA's, Apple's and Qualcomm's own compilers differ from Mesa's.

On Debian or Ubuntu the first run fetches the drivers through apt, about 600 MB, and builds two small libraries. Root is
needed only to install missing build tools. Results are stored beside the drivers, so an interrupted run continues and a
second run takes seconds. With --keep everything is compiled again.

Exit codes:
  0    every kernel compiled
  1    a failure, such as missing drivers or an empty selection
  2    a mistake in the command line
  3    a kernel did not compile, or with --check a default kernel spills registers
  130  interrupted
`;
}

/**
 * Reads the command line.
 *
 * @returns undefined if it asks for help
 * @throws {UsageError} for a mistake
 */
export function parseCompilers(args: readonly string[]): CompilersRequest | undefined {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  refuseOperands(operands, "compilers");
  const names = someOf("gpus", { given: listOf("gpus", values.gpus), known: gpuNames });
  const named = listOf("kernels", values.kernels);
  const kernels = someOf("kernels", { given: named, known: familyNames });
  const deadline = Number(values.deadline);
  if (!(deadline > 0 && deadline <= 86400)) {
    throw wrongValue("deadline", values.deadline, "seconds above 0 and up to 86400");
  }
  if (values.shape !== undefined && values.lengths !== undefined) {
    throw new UsageError("--shape and --lengths are both given, wanted one of them");
  }
  const calls = values.shape !== undefined
    ? shapesOf(values.shape, { kernels, named: named !== undefined })
    : switches.check && values.lengths === undefined
    ? checkedCalls
    : undefined;
  const selection = {
    kernels: values.shape === undefined ? kernels : kernels.filter((name) => calls![name]),
    variants: variantsOf(values.variants ?? (switches.check ? "chosen" : "all")),
    lengths: lengthsOf(values.lengths),
    ...calls === undefined ? {} : { calls },
  };
  if (values.shape !== undefined || values.lengths !== undefined) checkCalls(selection);
  return {
    gpus: pretendedGpus.filter(({ name }) => names.includes(name)),
    selection,
    runtime: values.runtime,
    format: values.format,
    check: switches.check,
    keep: values.keep,
    deadline: 1000 * deadline,
    drivers: values.drivers,
  };
}

// Reads the lengths of --shape. They do not apply to the family `model`. Every other family has the
// name of one of the bench's operators, so `shapeOfLengths` knows it.
function shapesOf(
  text: string,
  { kernels, named }: { readonly kernels: readonly Family[]; readonly named: boolean },
): Calls {
  const known = kernels.filter((family) => family !== "model");
  const calls: Partial<Record<Family, Dimensions[]>> = {};
  const wanted = known.map((family) =>
    `${family} ${tunableOperators.get(families[family][0])!.dimensionNames.join(" ")}`
  ).join("; ");
  for (const part of text.split("/")) {
    const fitting = known.flatMap((family) => {
      const shape = shapeOfLengths(family, part.trim());
      return shape === undefined ? [] : [[family, shape.dimensions] as const];
    });
    if (fitting.length === 0) {
      throw new UsageError(
        `--shape has ${JSON.stringify(part.slice(0, 100))}, wanted the lengths of an operator, ` +
          `each at least 1, as in B1,H8,T1024,D64: ${wanted}`,
      );
    }
    for (const [family, dimensions] of fitting) (calls[family] ??= []).push(dimensions);
  }
  const without = kernels.find((family) => calls[family] === undefined);
  if (named && without !== undefined) {
    throw new UsageError(`--kernels names ${without}, but --shape has no lengths of it`);
  }
  return calls;
}

// A GPU with limits large enough for every valid call.
const roomy = {
  runtime: "deno",
  backend: "",
  vendor: "",
  architecture: "",
  device: "",
  description: "",
  software: false,
  features: [],
  limits: {
    maxBufferSize: 2 ** 40,
    maxStorageBufferBindingSize: 2 ** 40,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupsPerDimension: 65535,
  },
} as const;

/** Refuses lengths that an operator refuses, before any GPU is opened. */
function checkCalls(selection: KernelSelection): void {
  using dry = createDryGpu(roomy);
  for (const operator of selection.kernels.flatMap((family): string[] => [...families[family]])) {
    for (const call of callsOf(operator, selection)) {
      try {
        using _plan = tunableOperators.get(operator)!.plan(dry, call);
      } catch (error) {
        if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
        throw new UsageError(error.message);
      }
    }
  }
}

function variantsOf(text: string): KernelSelection["variants"] {
  if (text === "all" || text === "chosen") return text;
  const operators = [...tunableOperators.values()];
  const known = new Set(
    operators.flatMap(({ variants, namedOnly }) => [...variants, ...namedOnly]),
  );
  const names = listOf("variants", text)!;
  for (const name of names) oneOf("variants", { given: name, known: [...known] });
  return names;
}

function lengthsOf(text: string | undefined): Dimensions {
  const known = [...tunableOperators.values()].flatMap(({ dimensionNames }) => dimensionNames);
  const pairs = (listOf("lengths", text) ?? []).map((item) => {
    const [, name, length] = /^(\w+)=(\d+)$/.exec(item) ?? [];
    if (name === undefined) {
      throw new UsageError(
        `--lengths has ${JSON.stringify(item)}, wanted NAME=LENGTH such as D=256`,
      );
    }
    oneOf("lengths", { given: name, known: [...new Set(known)] });
    const number = Number(length);
    if (number > 2 ** 24 || number < 1 && !name.startsWith("transpose")) {
      throw new UsageError(`--lengths has ${JSON.stringify(item)}, wanted 1 to ${2 ** 24}`);
    }
    return [name, number] as const;
  });
  return Object.fromEntries(pairs);
}
