/** The command line of `deno task tune`. */
import {
  type OperatorName,
  operatorNames,
  operatorPasses,
} from "../../measure/workloads/operators.ts";
import { tunableOperator } from "../../measure/workloads/variants.ts";
import {
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  UsageError,
} from "../shared/arguments.ts";
import { parseBench, type Selection } from "../bench/options.ts";
import {
  help,
  passes,
  refuseOperands,
  runtime,
  seed,
  shapes,
  software,
} from "../shared/options.ts";

/** A command line that makes sense. */
export interface TuneRequest {
  readonly selection: Selection;
  /** Whether to measure only, and keep nothing. */
  readonly dryRun: boolean;
}

// Attention with V-scale runs the kernels of attention, and shares its choices.
const kernels = operatorNames.filter((kernel) =>
  !kernel.startsWith("attention-") &&
  operatorPasses[kernel].some((pass) => tunableOperator(kernel, pass) !== undefined)
);

const options = {
  kernels: {
    type: "value",
    placeholder: "A,B",
    description: `Operators: ${kernels.join(", ")} (default all)`,
  },
  passes,
  shapes,
  runtime,
  software,
  budget: {
    type: "value",
    placeholder: "SECONDS",
    description: "Time limit, checked between compilations (default 300)",
  },
  seed,
  "dry-run": { type: "switch", description: "Measure, but keep nothing" },
  help,
} as const satisfies OptionSpecifications;

/** The text of `--help`. */
export function tuneHelp(): string {
  return `Finds the fastest kernels for this machine's GPU and keeps the choices in the user's cache, where openGpu finds them.

Usage: deno task tune [OPTIONS]

${formatOptions(options)}
Of each class of shapes, tune times one. It checks every candidate's answer before its time counts, and keeps the
choice after each call; Ctrl-C ends the run and keeps the choices made so far. To do without them, open the GPU with
openGpu({ tuning: false }) or set GRADSINK_TUNING=off.

Exit codes:
  0    everything was tuned
  1    the run could not start or continue: no adapter, unwritable cache
  2    a mistake in the command line
  3    the run finished, but not every call was tuned, or some kernels were wrong, failed or timed out
  130  interrupted
`;
}

/**
 * Reads the command line.
 *
 * @param args the words after the command
 * @returns what to tune; undefined if it asks for help
 * @throws {UsageError} for anything that makes no sense
 */
export function parseTune(args: readonly string[]): TuneRequest | undefined {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  refuseOperands(operands, "tune");
  const untunable = values.kernels?.split(",").map((name) => name.trim())
    .find((name) => name in operatorPasses && !kernels.includes(name as OperatorName));
  if (untunable !== undefined) {
    const why = untunable.startsWith("attention-v-scale")
      ? "it shares the choices of attention"
      : "it has a single variant";
    throw new UsageError(`--kernels: ${untunable} is not tuned: ${why}`);
  }
  // The bench has the other options too, and checks them.
  const given = { kernels: kernels.join(","), ...withoutUndefined(values) };
  const words = Object.entries(given).map(([name, value]) => `--${name}=${value}`);
  const request = parseBench(words);
  if (request === undefined) throw new UsageError("unexpected --help");
  return { selection: request.selection, dryRun: switches["dry-run"] };
}

function withoutUndefined(values: Readonly<Record<string, string | undefined>>) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
