/** The command line of `deno task tune`. */
import { type OperatorName, operatorNames, passesOf } from "../../measure/workloads/operators.ts";
import { tunableOperator } from "../../measure/workloads/variants.ts";
import {
  flag,
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  takes,
  UsageError,
} from "../shared/arguments.ts";
import { operator, type OperatorOption, operatorOption } from "../shared/custom_operator.ts";
import { parseBench } from "../bench/options.ts";
import type { AddedOperator, Selection } from "../bench/selection.ts";
import {
  adapter,
  help,
  passes,
  refuseOperands,
  runtime,
  seed,
  shapes,
  software,
} from "../shared/options.ts";

/** A valid command line. */
export interface TuneRequest {
  readonly selection: Selection;
  /** Whether to only measure, and save nothing. */
  readonly dryRun: boolean;
}

// Attention with V-scale or learned sinks runs attention's kernels and shares its tuned choices.
function tunableKernels(): OperatorName[] {
  return operatorNames.filter((kernel) =>
    !kernel.startsWith("attention-") &&
    passesOf(kernel).some((pass) => tunableOperator(kernel, pass) !== undefined)
  );
}

const options = {
  kernels: takes("A,B", `Operators: ${tunableKernels().join(", ")} (default all)`),
  operator,
  passes,
  shapes,
  runtime,
  software,
  adapter,
  budget: takes("SECONDS", "Time limit, checked between compilations (default 300)"),
  seed,
  "dry-run": flag("Measure, but save nothing"),
  help,
} as const satisfies OptionSpecifications;

/** The text of `--help`. */
export function tuneHelp(): string {
  return `Finds the fastest kernels for this machine's GPU and keeps the choices in the user's cache, where openGpu finds them.

Usage: deno task tune [OPTIONS]

${formatOptions(options)}
Similar shapes share a choice, so only one of them is measured. A kernel's time counts only if its answer is right.
Each choice is saved as soon as it is made, so Ctrl-C keeps the choices so far. To ignore the choices, open the GPU with
openGpu({ tuning: false }) or set GRADSINK_TUNING=off.

Exit codes:
  0    everything was tuned
  1    the run could not start or continue: no adapter, unwritable cache
  2    a mistake in the command line
  3    the run finished, but some choices are missing, or some kernels were wrong, failed or timed out
  130  interrupted
`;
}

/**
 * Reads `--operator` from a command line.
 *
 * @throws {UsageError} for an unknown option or a missing value
 */
export function tuneOperator(args: readonly string[]): OperatorOption | undefined {
  return operatorOption(parseArguments(args, { options }));
}

/**
 * Reads the command line. Returns undefined if it asks for help.
 *
 * @param added the custom operator that `--operator` has added, if any
 * @throws {UsageError} for a mistake
 */
export function parseTune(
  args: readonly string[],
  added?: AddedOperator,
): TuneRequest | undefined {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  refuseOperands(operands, "tune");
  const kernels = tunableKernels();
  const untunable = values.kernels?.split(",").map((name) => name.trim())
    .find((name) => operatorNames.includes(name) && !kernels.includes(name));
  if (untunable !== undefined) {
    const why = tunableOperator(untunable, passesOf(untunable)[0]!) !== undefined
      ? "it shares the choices of attention"
      : "it has a single variant";
    throw new UsageError(`--kernels: ${untunable} is not tuned: ${why}`);
  }
  // The bench has the remaining options too, so `parseBench` reads and checks them.
  const { operator: _, ...rest } = withoutUndefined(values);
  const given = { kernels: added?.name ?? kernels.join(","), ...rest };
  const words = Object.entries(given).map(([name, value]) => `--${name}=${value}`);
  const request = parseBench(words, added);
  if (request === undefined) throw new UsageError("unexpected --help");
  return { selection: request.selection, dryRun: switches["dry-run"] };
}

function withoutUndefined(values: Readonly<Record<string, string | undefined>>) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
