/** The command line of `deno task bench`. */
import { operatorNames } from "../../measure/workloads/operators.ts";
import { namedVariantsOf, numberFormats } from "../../measure/workloads/variants.ts";
import {
  flag,
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  takes,
  takesPath,
  UsageError,
} from "../shared/arguments.ts";
import { operator, type OperatorOption, operatorOption } from "../shared/custom_operator.ts";
import {
  adapter,
  help,
  listOf,
  passes,
  refuseOperands,
  runtime,
  seed,
  shapes,
  software,
  tuning,
  wholeNumber,
} from "../shared/options.ts";
import { type AddedOperator, checkLengths, checkSelection, type Selection } from "./selection.ts";

/** A valid command line. */
export interface BenchRequest {
  readonly selection: Selection;
  readonly out: string | undefined;
  readonly wide: boolean;
  readonly json: boolean;
  readonly label: string | undefined;
  readonly resume: string | undefined;
  readonly share: boolean;
  /** Another checkout, or the custom operator's other file, to measure in turns with this side. */
  readonly beside: string | undefined;
}

const options = {
  kernels: takes("A,B", `Operators: ${operatorNames.join(", ")} (default all)`),
  operator,
  passes,
  shapes,
  shape: takes(
    "LENGTHS",
    "One shape by its lengths: B1,H8,T1024,D64 (attention), rows512,d2048 (rms-norm), M512,N512,K512 (matmul), …",
  ),
  dtypes: takes(
    "A,B",
    `Number formats: ${numberFormats.join(", ")} (default: those of the selected variants)`,
  ),
  cache: takes(
    "A,B",
    "State of the cache before each run: hot (holds the data), cold (does not); default both",
  ),
  variants: takes(
    "A,B",
    "Variants: chosen (this adapter's defaults), all (every variant except those in f16), or names (default chosen)",
  ),
  runtime,
  software,
  adapter,
  tuning,
  budget: takes(
    "SECONDS",
    "Approximate time limit (default 240; 180 if the adapter computes on the CPU)",
  ),
  seed,
  out: takesPath("FILE", "Write the result to a new file (default results/<date>-<adapter>.json)"),
  label: takes("TEXT", "Name this machine in the result file"),
  resume: takesPath("FILE", "Continue an incomplete result file"),
  beside: takesPath(
    "FOLDER",
    "Measure another checkout (with --operator: another operator file) in turns with this one, and compare both",
  ),
  wide: flag("Print every column, in lines of up to 260 characters"),
  json: flag("Print the result file instead of a table; with --beside, the comparison as JSON"),
  share: flag("Print an address where you can offer the result to the project; sends nothing"),
  help,
} as const satisfies OptionSpecifications;

/** The text of `--help`. */
export function benchHelp(): string {
  return `Measures the kernels on this machine's GPU, and the GPU's best arithmetic rate and bandwidth.

Usage: deno task bench [OPTIONS]

${formatOptions(options)}
The bench checks every answer before it reports a speed. It saves finished measurements while it runs.
Times differ from process to process, so the bench repeats every measurement in several processes: at least 3, and up
to 16 with a larger --budget. Every interval comes from the differences between processes.
Ctrl-C ends the run and marks the file incomplete; --resume continues it.

To see the effect of a change, measure the old and the new state in turns. Check out the old one, for example
with \`git worktree add ../before HEAD~1\`, and run \`deno task bench --beside=../before\`. Two processes take
samples in turns of some milliseconds, so both meet the same conditions, and the bench compares them turn by turn.
It writes two files, FILE.json and FILE-beside.json, which \`deno task compare\` compares in the same way.
So --beside finds small changes. In a test on Mesa's lavapipe (a GPU driver that computes on the CPU), ten other busy
threads shared the two cores. All 10 runs with the default budget found a kernel that took 12 % more CPU time. None of
144 comparisons of equal kernels showed a change.
With --operator=NEW.ts, --beside=OLD.ts compares two versions of your operator.

Some variants keep their tiles in f16 and add in f32. To measure them, name them with --variants:
  attention  ${namedVariantsOf("attention", "forward").join(", ")}
  matmul     ${namedVariantsOf("matmul", "forward").join(", ")}
Their number format is f16+f32. The bench allows these variants f16's rounding error, and compares them only with each
other. It uses the ceiling (best measured rate) of f32 for them, because they multiply and add in f32.

The file of --operator exports name, shapes, inputs, twin (the operator in float64, to check answers), cost and
plan; bench/operators/softcap.ts is an example. Only a measuring process runs the file. The bench then measures that
operator alone; --kernels adds others.

Exit codes:
  0    everything was measured
  1    the run could not start or continue: no adapter, unwritable output, unreadable file
  2    a mistake in the command line
  3    the run finished, but some kernels were wrong, failed or timed out
  130  interrupted
`;
}

/**
 * Reads `--operator` from a command line.
 *
 * @throws {UsageError} for an unknown option or a missing value
 */
export function benchOperator(args: readonly string[]): OperatorOption | undefined {
  return operatorOption(parseArguments(args, { options }));
}

/**
 * Reads the command line. Returns undefined if it asks for help.
 *
 * @param added the operator of `--operator`
 * @throws {UsageError} for a mistake
 */
export function parseBench(
  args: readonly string[],
  added?: AddedOperator,
): BenchRequest | undefined {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  refuseOperands(operands, "bench");
  if (values.resume !== undefined) {
    // The file holds the selection and the label, so only a few other options make sense.
    const given = Object.keys(options).find((name) =>
      !["resume", "json", "wide", "budget", "operator", "share"].includes(name) &&
      args.some((word) => word === `--${name}` || word.startsWith(`--${name}=`))
    );
    if (given !== undefined) {
      throw new UsageError(`--${given} with --resume: the file already says what to measure`);
    }
  }
  if (values.shape !== undefined && values.shapes !== undefined) {
    throw new UsageError("--shape and --shapes are both given, wanted one of them");
  }
  if (values.shape !== undefined) checkLengths(values.shape);
  const { label } = values;
  // deno-lint-ignore no-control-regex
  if (label !== undefined && (label.length > 300 || /[\u0000-\u001f\u007f-\u009f]/.test(label))) {
    throw new UsageError("--label is too long or holds control characters");
  }
  return {
    selection: checkSelection({
      kernels: listOf("kernels", values.kernels) ?? (added && [added.name]),
      operator: added && { name: added.name, digest: added.digest },
      passes: listOf("passes", values.passes),
      shapes: values.shape ? [values.shape] : listOf("shapes", values.shapes),
      dtypes: listOf("dtypes", values.dtypes),
      caches: listOf("cache", values.cache),
      variants: listOf("variants", values.variants),
      runtime: values.runtime,
      software: values.software,
      adapter: values.adapter,
      tuning: values.tuning,
      seed: wholeNumber("seed", values.seed),
      budget: values.budget,
    }),
    out: values.out,
    json: switches.json,
    wide: switches.wide,
    share: switches.share,
    label,
    resume: values.resume,
    beside: values.beside,
  };
}
