/** The command line of `deno task sinks`. */
import { DEFAULT_CONTEXT } from "../../experiments/open_model.ts";
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
import { absolutePath } from "../shared/place.ts";
import type { HeadPlace } from "../../sinks/states/measurement.ts";
import { parseHead } from "./head.ts";
import { ARRAY_NAMES, type ArrayName, DEFAULT_ARRAYS } from "../../report/export.ts";
import {
  BEGIN_POLICIES,
  type BeginPolicy,
  DOCUMENT_POLICIES,
  type DocumentPolicy,
} from "../../experiments/tasks/token_texts.ts";
import {
  adapter,
  adapterOption,
  help,
  runtime,
  type RuntimeChoice,
  software,
  type SoftwareChoice,
} from "../shared/options.ts";

/** How text becomes a pretrained model's tokens; undefined fields mean defaults. */
export interface PretrainedOptions {
  readonly texts: number | undefined;
  /** Tokens per text, for a pretrained model or a checkpoint outside a run. */
  readonly context: number | undefined;
  readonly begin: BeginPolicy | undefined;
  readonly documents: DocumentPolicy | undefined;
}

/** A valid command line. */
export interface SinksRequest {
  /** MODEL as an absolute path: the folder of a run, a checkpoint or a pretrained model. */
  readonly folder: string;
  /** MODEL as given: a folder, or a name on the Hugging Face Hub. */
  readonly given: string;
  /** The checkpoint's step; undefined for the newest. */
  readonly step: number | undefined;
  readonly json: boolean;
  /** The file for JSON; undefined for none. */
  readonly output: string | undefined;
  readonly html: string | undefined;
  /** The folder to export to, and the states and gradients to export; undefined for no export. */
  readonly export: { readonly folder: string; readonly arrays: readonly ArrayName[] } | undefined;
  readonly split: "training" | "validation";
  /** Number of batches; undefined for as many as in the run's last measurement. */
  readonly batches: number | undefined;
  /** Options of pretrained models. `context` also applies to a checkpoint outside a run. */
  readonly pretrained: PretrainedOptions;
  /** Sequences per batch; undefined for as many as in the run. */
  readonly batch: number | undefined;
  /** The text to measure on, in place of the run's; a checkpoint outside a run needs one. */
  readonly corpus: string | undefined;
  readonly position: number;
  readonly window: number;
  readonly threshold: number;
  /** A query head to show besides those that the page always shows. */
  readonly head: HeadPlace | undefined;
  readonly theory: boolean;
  /** For pretrained models only. */
  readonly interventions: boolean;
  readonly quantization: boolean;
  readonly gpu: {
    readonly runtime: RuntimeChoice;
    readonly software: SoftwareChoice;
    readonly adapter?: string;
  };
}

const options = {
  step: takes("N", "The checkpoint after N steps (default the newest)"),
  json: flag("Print JSON instead of tables"),
  output: takesPath("FILE", "Also write JSON to a file", { short: "o" }),
  html: takesPath("FILE", "Also write a page with pictures, in one file that needs no network"),
  export: takesPath(
    "FOLDER",
    "Also write states and gradients, token by token, into a new folder: .npy, CSV and an index",
  ),
  arrays: takes(
    "NAMES",
    `Arrays that --export writes in full for every layer: comma-separated names, or all (default ${
      DEFAULT_ARRAYS.join(",")
    })`,
  ),
  split: takes(
    "NAME",
    "Sequences to measure: the first of the validation data, or those of the next training step",
    { choices: ["validation", "training"], default: "validation" },
  ),
  batches: takes(
    "N",
    "Number of batches (default as in the run's last measurement; 8 for a lone checkpoint)",
  ),
  batch: takes(
    "N",
    "Sequences in a batch (default as in the run's training; 8 for a lone checkpoint; a pretrained model's batches have at most 1,024 tokens)",
  ),
  corpus: takesPath(
    "PATH",
    "Text file or folder for a pretrained model or a lone checkpoint; with a run, the text's new path",
  ),
  texts: takes("N", "Pretrained: number of texts (default 20, or fewer if the corpus has fewer)"),
  context: takes(
    "N",
    `Tokens per text, for a pretrained model (default 256) or a lone checkpoint (default the checkpoint's context, at most ${DEFAULT_CONTEXT})`,
  ),
  bos: takes("WHEN", "Pretrained: whether every text begins with BOS (default as-tokenizer)", {
    choices: BEGIN_POLICIES,
  }),
  documents: takes(
    "HOW",
    "Pretrained: join documents into texts, or cut each one separately (default joined)",
    { choices: DOCUMENT_POLICIES },
  ),
  position: takes("N", "The position to measure as a sink", { default: "0" }),
  window: takes(
    "N",
    "The sink score is the mean attention to --position over this many queries, from --position on",
    {
      default: "64",
    },
  ),
  threshold: takes("SCORE", "A head with a greater score counts as a sink", { default: "0.3" }),
  head: takes(
    "LAYER.HEAD",
    "Also show this head's attention on the page: LAYER.HEAD, such as 2.0",
  ),
  "no-theory": flag("Skip the check of the theory's identities and bounds (arXiv 2603.17771)"),
  "no-interventions": flag("Pretrained: do not measure the loss with massive activations replaced"),
  "no-quantization": flag("Do not measure the loss with INT8 activations"),
  runtime,
  software,
  adapter,
  help,
} as const satisfies OptionSpecifications;

/** The text of `--help`. */
export function sinksHelp(): string {
  return `Measures attention sinks, gradient sinks and residual branches of a trained model.

Usage: deno task sinks [OPTIONS] MODEL
       deno task sinks compare FILE FILE…   compares files of --output; see compare --help

MODEL is the folder of a run of deno task train, one of its checkpoints, a lone checkpoint (copied out of its run), or a
pretrained model: a folder in Hugging Face's layout with a tokenizer, or a name such as HuggingFaceTB/SmolLM2-135M, which
is fetched once. Families: llama, mistral, qwen2 and qwen3. A pretrained model is measured on --corpus, layer by layer,
so it may be larger than the GPU's memory.

Gradients at --position stay accurate, even if its sink is very strong. If rounding still hides a gradient, the tables
show it as below its floor: the size of its rounding error.

${formatOptions(options)}
Exit codes:
  0    measured
  1    no such checkpoint, an unreadable or incomplete one, or no GPU
  2    a mistake in the command line
  3    measured, but an identity or bound of the theory does not hold
  130  interrupted
`;
}

function exportOf(
  folder: string | undefined,
  arrays: string | undefined,
): SinksRequest["export"] {
  if (folder === undefined) {
    if (arrays === undefined) return undefined;
    throw new UsageError("--arrays says what --export writes: give --export=FOLDER too");
  }
  if (arrays === undefined) return { folder, arrays: DEFAULT_ARRAYS };
  const names = arrays === "all" ? ARRAY_NAMES : arrays.split(",");
  const unknown = names.find((name) => !(ARRAY_NAMES as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new UsageError(
      `--arrays names ${JSON.stringify(unknown)}, wanted all, or some of ${ARRAY_NAMES.join(", ")}`,
    );
  }
  return { folder, arrays: [...new Set(names)] as ArrayName[] };
}

function integer(name: string, text: string, least: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (!(value >= least)) throw wrongValue(name, text, `an integer of at least ${least}`);
  return value;
}

/**
 * Reads the command line. Returns undefined if it asks for help.
 *
 * @throws {UsageError} for a mistake
 */
export function parseSinks(args: readonly string[]): SinksRequest | undefined {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  const [folder, extra] = operands;
  if (folder === undefined || folder === "") {
    throw new UsageError("no model is given: deno task sinks MODEL; --help says more");
  }
  if (extra !== undefined) {
    throw new UsageError(`unexpected ${JSON.stringify(extra)}: sinks takes one model`);
  }
  const { step, batch, batches, output, html, corpus, texts, context, bos, documents } = values;
  const threshold = /^\d*\.?\d+$/.test(values.threshold) ? Number(values.threshold) : NaN;
  if (!(threshold <= 1)) throw wrongValue("threshold", values.threshold, "a number from 0 to 1");
  return {
    folder: absolutePath(folder),
    given: folder,
    pretrained: {
      texts: texts === undefined ? undefined : integer("texts", texts, 1),
      context: context === undefined ? undefined : integer("context", context, 2),
      begin: bos,
      documents,
    },
    step: step === undefined ? undefined : integer("step", step, 0),
    json: switches.json,
    output,
    html,
    export: exportOf(values.export, values.arrays),
    split: values.split,
    batches: batches === undefined ? undefined : integer("batches", batches, 1),
    batch: batch === undefined ? undefined : integer("batch", batch, 1),
    corpus,
    position: integer("position", values.position, 0),
    window: integer("window", values.window, 1),
    threshold,
    head: values.head === undefined ? undefined : parseHead(values.head),
    theory: !switches["no-theory"],
    interventions: !switches["no-interventions"],
    quantization: !switches["no-quantization"],
    gpu: {
      runtime: values.runtime,
      software: values.software,
      ...adapterOption(values.adapter),
    },
  };
}
