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
import { help, refuseOperands, runtime, seed, software } from "../shared/options.ts";

/** A command line that makes sense. */
export interface TuneRequest {
  readonly selection: Selection;
  /** Measure only, and keep nothing. */
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
      "quick, default or full, or names of shapes as in deno task bench (default default); times one of each class",
  },
  runtime,
  software,
  budget: {
    type: "value",
    placeholder: "SECONDS",
    description: "Time limit (default 300); a compilation that has begun is waited for",
  },
  seed,
  "dry-run": { type: "switch", description: "Measures, and keeps nothing" },
  help,
} as const satisfies OptionSpecifications;

/** The text of `--help`. */
export function tuneHelp(): string {
  return `Finds the fastest kernels for this machine's GPU and keeps them in the user's cache, where openGpu finds them.

Usage: deno task tune [OPTIONS]

${formatOptions(options)}
Every candidate's answer is checked before its time counts. Choices are saved after each call; Ctrl-C ends the run
and keeps them. openGpu({ tuning: false }), or GRADSINK_TUNING=off in the environment, ignores them.

Exit codes:
  0    everything was tuned
  1    the run could not start or resume: no adapter, unwritable cache
  2    a mistake in the command line
  3    it finished, but not every call was tuned, or some kernels were wrong, failed or timed out
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
      : "it has a single kernel";
    throw new UsageError(`--kernels: ${untunable} is not tuned: ${why}`);
  }
  // What is left means the same as for the bench, and is checked by it.
  const given = { kernels: kernels.join(","), ...withoutUndefined(values) };
  const words = Object.entries(given).map(([name, value]) => `--${name}=${value}`);
  const request = parseBench(words);
  if (request === undefined) throw new UsageError("unexpected --help");
  return { selection: request.selection, dryRun: switches["dry-run"] };
}

function withoutUndefined(values: Readonly<Record<string, string | undefined>>) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
