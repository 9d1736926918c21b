/** The command line of `deno task study` and `deno task study report`. */
import {
  isTextSetting,
  parseNames,
  parseSeeds,
  parseShard,
  type Shard,
  STUDY_SETTINGS,
  STUDY_VARIANTS,
  type StudySelection,
} from "../../experiments/study/arms.ts";
import {
  ANCHORED_SCALE,
  DEFAULT_SCALE,
  defaultScale,
  type StudyScale,
} from "../../experiments/study/settings.ts";
import {
  flag,
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  takes,
  takesPath,
  UsageError,
  wrongValue,
} from "../shared/arguments.ts";
import { adapter, adapterOption, help } from "../shared/options.ts";
import { absolutePath } from "../shared/place.ts";

/** A valid command line. */
export type StudyRequest =
  | {
    readonly command: "run";
    readonly selection: StudySelection;
    readonly scale: StudyScale;
    readonly shard: Shard;
    readonly jobs: number;
    readonly out: string;
    /** The adapter's name or number; undefined for the usual adapter. */
    readonly adapter?: string;
    readonly list: boolean;
    /** Whether to measure finished runs again. */
    readonly remeasure: boolean;
  }
  | {
    readonly command: "report";
    readonly folders: readonly string[];
    readonly out: string;
    /** The folder for copies of the records; undefined for none. */
    readonly records: string | undefined;
  };

/** Names an option's usual default, and its default in the study's setting `text-anchored`. */
function defaults(name: "steps" | "batch" | "learningRate"): string {
  return `(default ${DEFAULT_SCALE[name]}; ${ANCHORED_SCALE[name]} with --settings=text-anchored)`;
}

const runOptions = {
  settings: takes(
    "A,B",
    `Settings: ${STUDY_SETTINGS.join(", ")}; the text settings need --corpus`,
    {
      default: "shallow,deep",
    },
  ),
  variants: takes("A,B", `Variants of the model: ${STUDY_VARIANTS.join(", ")} (default all)`),
  seeds: takes("N", "Number of seeds, or a range such as 6-10", { default: "5" }),
  steps: takes("N", `Training steps per run ${defaults("steps")}`),
  batch: takes("N", `Sequences per step ${defaults("batch")}`),
  measurements: takes("N", "Measurements during a run", {
    default: String(DEFAULT_SCALE.measurements),
  }),
  sequences: takes("N", "Validation sequences per measurement", {
    default: String(DEFAULT_SCALE.sequences),
  }),
  "learning-rate": takes("X", `Peak learning rate ${defaults("learningRate")}`),
  corpus: takesPath("PATH", "Text file or folder for the text settings"),
  "first-token": takes(
    "BYTE",
    "For text: begin every sequence with this byte (default none; 0 for text-anchored)",
  ),
  out: takesPath(
    "FOLDER",
    "Folder of the runs; finished runs are skipped, interrupted runs continue",
    { default: "results/study" },
  ),
  jobs: takes("N", "Runs at the same time", { default: "1" }),
  shard: takes("I/N", "Do part I of N, to share the study among N machines", { default: "1/1" }),
  remeasure: flag("Measure the trained models of finished runs again, without training"),
  adapter,
  list: flag("List the selected runs and their progress, and exit"),
  help,
} as const satisfies OptionSpecifications;

const reportOptions = {
  out: takesPath("FOLDER", "Folder for the page, the figures and the claims", {
    default: "results/study-report",
  }),
  records: takesPath(
    "FOLDER",
    "Also copy the runs' records to this folder; the report can be made from them again",
  ),
  help,
} as const satisfies OptionSpecifications;

export function studyHelp(): string {
  return `Trains the controlled study: every variant of the model with every seed and setting, all else equal.

Usage: deno task study [OPTIONS]
       deno task study report [OPTIONS] FOLDER…

Every run has its own process and folder. Ctrl-C saves the runs, and the same command continues them. The study
goes seed by seed, so at any time all variants have about the same number of finished runs.

${formatOptions(runOptions)}
Settings: shallow and deep train on Bigram-Backcopy (see deno task train --help), with 2 and 3 layers; deep has no
attention in layer 0. text and text-anchored train on bytes of text with 4 layers; in text-anchored every sequence
begins with the same byte. Variants: none is the baseline. fixed, learned and backward-only are kinds of V-scale,
which shrinks short value vectors. learned-sink and softmax-off-by-one add to each query head's softmax a logit
that belongs to no token. head-gate and element-gate put gates on attention's outputs.

report joins the folders of one or many machines. It writes a page that needs no network, SVG figures, and a table
of the claims of the paper (arXiv 2603.17771), each with a verdict by fixed rules. Options of report:

${formatOptions(reportOptions)}
Exit codes:
  0    all done
  1    a run failed, or a folder cannot be used
  2    a mistake in the command line
  130  interrupted
`;
}

/**
 * Reads the command line. Returns undefined if it asks for help.
 *
 * @throws {UsageError} for a mistake
 */
export function parseStudy(args: readonly string[]): StudyRequest | undefined {
  return args[0] === "report" ? parseReport(args.slice(1)) : parseRun(args);
}

function parseReport(args: readonly string[]): StudyRequest | undefined {
  const { switches, values, operands } = parseArguments(args, { options: reportOptions });
  if (switches.help) return undefined;
  if (operands.length === 0) throw new UsageError("report: no folder given, wanted at least one");
  return {
    command: "report",
    folders: operands.map(absolutePath),
    out: values.out,
    records: values.records,
  };
}

function parseRun(args: readonly string[]): StudyRequest | undefined {
  const { switches, values, operands } = parseArguments(args, { options: runOptions });
  if (switches.help) return undefined;
  if (operands.length > 0) {
    throw new UsageError(
      `unexpected ${JSON.stringify(operands[0])}; the only command is report`,
    );
  }
  const settings = named("settings", values.settings, STUDY_SETTINGS);
  const text = settings.find(isTextSetting);
  if (text !== undefined && values.corpus === undefined) {
    throw new UsageError(`the ${text} setting needs --corpus=PATH, a file or folder of text`);
  }
  for (const name of ["corpus", "first-token"] as const) {
    if (text !== undefined || values[name] === undefined) continue;
    throw new UsageError(`--${name} is for settings of text, and --settings names none`);
  }
  const scale = defaultScale(settings);
  const shard = parseShard(values.shard);
  if (shard === undefined) throw wrongValue("shard", values.shard, "a part such as 2/8");
  const seeds = parseSeeds(values.seeds);
  if (seeds === undefined) throw wrongValue("seeds", values.seeds, "a count such as 5, or 6-10");
  const steps = integer("steps", values.steps ?? String(scale.steps), 1_000_000);
  const measurements = integer("measurements", values.measurements, 1000);
  if (measurements > steps) {
    throw new UsageError(`--measurements is ${measurements}, wanted at most --steps, ${steps}`);
  }
  return {
    command: "run",
    selection: {
      settings,
      variants: named("variants", values.variants ?? STUDY_VARIANTS.join(","), STUDY_VARIANTS),
      seeds,
    },
    scale: {
      steps,
      measurements,
      batch: integer("batch", values.batch ?? String(scale.batch), 65536),
      sequences: integer("sequences", values.sequences, 65536),
      learningRate: positive(
        "learning-rate",
        values["learning-rate"] ?? String(scale.learningRate),
      ),
      corpus: values.corpus,
      ...values["first-token"] === undefined ? {} : { firstToken: byte(values["first-token"]) },
    },
    shard,
    jobs: integer("jobs", values.jobs, 256),
    out: values.out,
    ...adapterOption(values.adapter),
    list: switches.list,
    remeasure: switches.remeasure,
  };
}

function named<Name extends string>(name: string, text: string, known: readonly Name[]): Name[] {
  const names = parseNames(text, known);
  if (names === undefined) throw wrongValue(name, text, `some of ${known.join(",")}, each once`);
  return names;
}

function integer(name: string, text: string, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (!(value >= 1 && value <= most)) throw wrongValue(name, text, `an integer from 1 to ${most}`);
  return value;
}

function byte(text: string): number {
  const value = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
  if (!(value <= 255)) throw wrongValue("first-token", text, "an integer from 0 to 255");
  return value;
}

function positive(name: string, text: string): number {
  const value = /^\d*\.?\d+(?:e-?\d{1,3})?$/i.test(text) ? Number(text) : NaN;
  if (!(value > 0 && value <= 1)) throw wrongValue(name, text, "a number above 0 and at most 1");
  return value;
}
