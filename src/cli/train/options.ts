/** The command line of `deno task train`. */
import { isPreset, PRESET_TITLES, PRESETS, presetSettings } from "../../experiments/run/presets.ts";
import { checkRunSettings, type RunSettings } from "../../experiments/run/settings.ts";
import type { OpenGpuOptions } from "../../ops/open_gpu_options.ts";
import {
  ATTENTION_GATES,
  type LlamaConfig,
  SINK_LOGITS,
  V_SCALE_VARIANTS,
} from "../../reference/llama/config.ts";
import {
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  takes,
  takesPath,
  UsageError,
  wrongValue,
} from "../shared/arguments.ts";
import { wantedNames } from "../../closest.ts";
import { adapter, adapterOption, help, runtime, software } from "../shared/options.ts";

/** A valid command line. */
export type TrainRequest =
  | {
    readonly command: "resume";
    readonly folder: string;
    /** Where the run's text is now; undefined if it has not moved. */
    readonly corpus?: string;
    readonly gpu: OpenGpuOptions;
  }
  | {
    readonly command: "begin";
    readonly settings: RunSettings;
    /** Undefined: the command chooses a name. */
    readonly folder: string | undefined;
    readonly gpu: OpenGpuOptions;
  };

const options = {
  out: takesPath("FOLDER", "New folder for the run (default runs/DATE-PRESET-VARIANT-seedN)"),
  resume: takesPath("FOLDER", "Continue the run in this folder with its settings"),
  corpus: takesPath(
    "PATH",
    "Text file or folder to train on (Bigram-Backcopy takes only its bigram frequencies); with --resume, where the text is now",
  ),
  "v-scale": takes("VARIANT", "Kind of V-scale (it shrinks short value vectors)", {
    choices: V_SCALE_VARIANTS,
  }),
  "sink-logit": takes(
    "KIND",
    "Extra softmax logit of each query head (it belongs to no token)",
    {
      choices: SINK_LOGITS,
    },
  ),
  "attention-gate": takes(
    "KIND",
    "Gates on attention's outputs (one per head or per element)",
    {
      choices: ATTENTION_GATES,
    },
  ),
  steps: takes("N", "Training steps"),
  seed: takes("N", "Seed of weights and batches"),
  batch: takes("N", "Sequences per micro-batch, which the GPU computes at once"),
  accumulation: takes("N", "Micro-batches per step"),
  context: takes("N", "Tokens per sequence"),
  "first-token": takes(
    "BYTE",
    "For text: begin every sequence with this byte, such as 0",
  ),
  "learning-rate": takes("X", "Peak learning rate"),
  "warm-up": takes("N", "Warm-up steps"),
  "weight-decay": takes("X", "Weight decay of the matrices"),
  clip: takes("X", "Clip gradients to this norm"),
  layers: takes("N", "Number of layers"),
  "without-attention": takes("A,B", "Layers without attention, counted from 0, or none"),
  "model-dim": takes("N", "Width of the residual stream"),
  heads: takes("N", "Number of query heads"),
  "key-value-heads": takes("N", "Number of key and value heads"),
  "head-dim": takes("N", "Width of a head"),
  "feed-forward-dim": takes("N", "Width of the MLP"),
  "loss-every": takes("N", "Steps between reports of the loss"),
  "measure-every": takes("N", "Steps between measurements of sinks; 0 measures at the end only"),
  "measure-batches": takes("N", "Validation batches per measurement"),
  "final-batches": takes("N", "Validation batches of the last measurement"),
  "checkpoint-every": takes("N", "Steps between checkpoints; 0 saves at the end only"),
  keep: takes("N", "How many of the newest checkpoints to keep"),
  runtime,
  software,
  adapter,
  help,
} as const satisfies OptionSpecifications;

/** The text of `--help`. */
export function trainHelp(): string {
  const width = Math.max(...PRESETS.map((name) => name.length)) + 2;
  return `Trains a small Llama-like model and watches attention sinks form.

Usage: deno task train [PRESET] [OPTIONS]
       deno task train --resume=FOLDER

Presets (default smoke):
${PRESETS.map((name) => `  ${name.padEnd(width)}${PRESET_TITLES[name]}\n`).join("")}
Bigram-Backcopy is the smallest task that grows a sink (arXiv 2410.13835): a table of character pairs gives the next
character, but after a trigger (one of a few characters) the character before the trigger repeats.

Options (defaults come from the preset):
${formatOptions(options)}
A run's folder holds settings.json, metrics.jsonl and checkpoints in Hugging Face's Llama layout. Ctrl-C saves a
checkpoint. After Ctrl-C or a crash, --resume gives the same numbers, bit for bit, as an uninterrupted run.

Exit codes:
  0    all steps are done
  1    the run could not start or continue
  2    a mistake in the command line
  130  interrupted
`;
}

type Values = ReturnType<typeof parseArguments<typeof options>>["values"];

/**
 * Reads the command line. Returns undefined if it asks for help.
 *
 * @throws {UsageError} for a mistake
 */
export function parseTrain(args: readonly string[]): TrainRequest | undefined {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  const { resume, out, runtime, software } = values;
  const gpu = { runtime, software, ...adapterOption(values.adapter) };
  if (operands.length > 1) {
    throw new UsageError(`given ${operands.join(" ")}, wanted one preset`);
  }
  if (resume !== undefined) {
    const others = Object.keys(values)
      .filter((name) => !["resume", "corpus", "runtime", "software", "adapter"].includes(name))
      .filter((name) => values[name as keyof Values] !== undefined);
    const [given] = [...operands, ...others.map((name) => `--${name}`)];
    if (given !== undefined) {
      throw new UsageError(
        `--resume keeps the run's own settings: remove ${given}`,
      );
    }
    const { corpus } = values;
    return {
      command: "resume",
      folder: resume,
      ...corpus === undefined ? {} : { corpus },
      gpu,
    };
  }
  return {
    command: "begin",
    settings: settingsOf(operands[0] ?? "smoke", values),
    folder: out,
    gpu,
  };
}

function settingsOf(preset: string, values: Values): RunSettings {
  if (!isPreset(preset)) {
    const shown = JSON.stringify(preset.slice(0, 100));
    throw new UsageError(`there is no preset ${shown}, ${wantedNames(preset, PRESETS)}`);
  }
  if (values.corpus === undefined && (preset === "text" || preset === "paper-0.1b")) {
    throw new UsageError(`the preset ${preset} needs a text: --corpus=PATH`);
  }
  const start = presetSettings(preset, values.corpus);
  if (values["first-token"] !== undefined && start.task.name !== "text") {
    throw new UsageError(
      `--first-token is for presets of text; ${preset} begins every sequence with a token of its own`,
    );
  }
  const settings = changed(start, values);
  try {
    checkRunSettings(settings);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(asOption(error.message.replace(/^LlamaConfig: /, "")));
  }
  return settings;
}

/** Maps a setting to its option's name, where that is not the setting's name in kebab case. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  warmUpSteps: "warm-up",
  queryHeads: "heads",
  keepCheckpoints: "keep",
  layersWithoutAttention: "without-attention",
};

/** Replaces a setting's name at the start of a message with its option's name. */
function asOption(message: string): string {
  return message.replace(/^\w+/, (name) => {
    const option = OPTION_NAMES[name] ??
      name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return Object.hasOwn(options, option) ? `--${option}` : name;
  });
}

function changed(preset: RunSettings, values: Values): RunSettings {
  const { model, task, optimizer, reporting } = preset;
  const steps = integer(values, "steps") ?? preset.steps;
  return {
    ...preset,
    steps,
    ...given({
      seed: integer(values, "seed"),
      batch: integer(values, "batch"),
      accumulation: integer(values, "accumulation"),
    }),
    model: { ...model, ...given(modelOf(values, model)) },
    task: {
      ...task,
      ...given({
        context: integer(values, "context"),
        corpus: values.corpus,
        firstToken: integer(values, "first-token"),
      }),
    },
    optimizer: {
      ...optimizer,
      // A preset's warm-up fits the preset's number of steps. A shorter run warms up for at most
      // half of its steps.
      warmUpSteps: Math.min(optimizer.warmUpSteps, Math.floor(steps / 2)),
      ...given({
        learningRate: number(values, "learning-rate"),
        warmUpSteps: integer(values, "warm-up"),
        weightDecay: number(values, "weight-decay"),
        clip: number(values, "clip"),
      }),
    },
    reporting: {
      ...reporting,
      ...given({
        lossEvery: integer(values, "loss-every"),
        measureEvery: integer(values, "measure-every"),
        measureBatches: integer(values, "measure-batches"),
        finalBatches: integer(values, "final-batches") ??
          largerOf(reporting.finalBatches, integer(values, "measure-batches")),
        checkpointEvery: integer(values, "checkpoint-every"),
        keepCheckpoints: integer(values, "keep"),
      }),
    },
  };
}

/** Makes the last measurement use at least as many batches as `given` sets for the others. */
function largerOf(usual: number | undefined, given: number | undefined): number | undefined {
  return usual === undefined || given === undefined ? usual : Math.max(usual, given);
}

function modelOf(
  values: Values,
  model: LlamaConfig,
): { [Name in keyof LlamaConfig]?: LlamaConfig[Name] | undefined } {
  const layers = integer(values, "layers");
  return {
    vScale: values["v-scale"],
    sinkLogit: values["sink-logit"],
    attentionGate: values["attention-gate"],
    layers,
    layersWithoutAttention: layerList(values["without-attention"]),
    modelDim: integer(values, "model-dim"),
    queryHeads: integer(values, "heads"),
    // Without --key-value-heads, --heads also sets the number of key-value heads if the preset has
    // as many of them as query heads.
    keyValueHeads: integer(values, "key-value-heads") ??
      (values.heads === undefined || model.keyValueHeads !== model.queryHeads
        ? undefined
        : integer(values, "heads")),
    headDim: integer(values, "head-dim"),
    feedForwardDim: integer(values, "feed-forward-dim"),
  };
}

function layerList(text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  if (text === "none") return [];
  if (!/^\d{1,6}(,\d{1,6})*$/.test(text)) {
    throw wrongValue("without-attention", text, "layers such as 0,1");
  }
  return text.split(",").map(Number);
}

function integer(values: Values, name: keyof Values): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw wrongValue(name, text, "a whole number");
  return Number(text);
}

function number(values: Values, name: keyof Values): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (!/^\d*\.?\d+(e[+-]?\d{1,3})?$/i.test(text)) {
    throw wrongValue(name, text, "a number such as 3e-3");
  }
  return Number(text);
}

function given<Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };
}
