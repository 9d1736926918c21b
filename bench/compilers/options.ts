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
import { type Dimensions, tunableOperators } from "../../src/ops/tuning/operators.ts";
import { type PretendedGpu, pretendedGpus } from "./gpus.ts";
import { familyNames, type KernelSelection } from "./works.ts";

const gpuNames = pretendedGpus.map(({ name }) => name);

const options = {
  gpus: takes("LIST", "GPUs from the list below, separated by commas"),
  kernels: takes("LIST", `Some of ${familyNames.join(", ")}`),
  variants: takes(
    "LIST",
    "all (what tuning tries, and what computes in f16), chosen (defaults), or names",
    { default: "all" },
  ),
  lengths: takes(
    "LIST",
    "Change lengths, such as D=256,T=4096 or M=512,N=512,K=512",
  ),
  runtime,
  format: takes("FORM", "Output format", {
    choices: ["table", "markdown", "json"],
    default: "table",
  }),
  check: flag("Fail if a default kernel spills registers on a GPU"),
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

/** What the command is asked. */
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
  return `Shows what GPUs' compilers make of the kernels: registers, spills, occupancy, instructions. No GPU is needed: Mesa's
drivers compile for devices that are only pretended. Nothing is timed.

Usage: deno task compilers [OPTIONS]

${formatOptions(options)}
GPUs:
${gpus}
AMD's and Intel's drivers are those that Linux runs. Those for NVIDIA, Apple and Qualcomm are Mesa's, not the makers' own:
they show registers and spills, but the makers' instructions differ.

The first call on Debian or Ubuntu fetches the drivers through apt, about 600 MB, and builds two small libraries. It needs
root only to install what these are built with.

Exit codes:
  0    every kernel compiled
  1    it could not begin or go on
  2    a mistake in the command line
  3    a kernel did not compile, or with --check a default spills
  130  interrupted
`;
}

/**
 * Reads the command line.
 *
 * @param args the words after the command
 * @returns undefined if it asks for help
 * @throws {UsageError} for a mistake
 */
export function parseCompilers(args: readonly string[]): CompilersRequest | undefined {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  refuseOperands(operands, "compilers");
  const names = someOf("gpus", { given: listOf("gpus", values.gpus), known: gpuNames });
  const kernels = someOf("kernels", {
    given: listOf("kernels", values.kernels),
    known: familyNames,
  });
  const deadline = Number(values.deadline);
  if (!(deadline > 0 && deadline <= 86400)) {
    throw wrongValue("deadline", values.deadline, "seconds above 0 and up to 86400");
  }
  return {
    gpus: pretendedGpus.filter(({ name }) => names.includes(name)),
    selection: {
      kernels,
      variants: variantsOf(values.variants),
      lengths: lengthsOf(values.lengths),
    },
    runtime: values.runtime,
    format: values.format,
    check: switches.check,
    keep: values.keep,
    deadline: 1000 * deadline,
    drivers: values.drivers,
  };
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
