/** Opens a pretrained model by name or folder, and splits text for measuring it. */
import { basename, join, resolve, sep } from "node:path";
import { CheckpointError } from "../model/checkpoint/error.ts";
import { fetchModel, isHubName } from "../model/pretrained/hub.ts";
import { openTokenizer, type Tokenizer } from "../model/pretrained/tokenizer.ts";
import { openWeights, readArchitecture, type WeightSource } from "../model/pretrained/weights.ts";
import type { MeasurementSource } from "../sinks/measurement.ts";
import { readDocuments } from "./tasks/documents.ts";
import { CorpusError } from "./tasks/text_corpus.ts";
import { type BeginPolicy, type DocumentPolicy, TokenTexts } from "./tasks/token_texts.ts";

export interface OpenedPretrained extends Disposable {
  readonly weights: WeightSource;
  readonly tokenizer: Tokenizer;
  readonly texts: TokenTexts;
  readonly source: MeasurementSource;
  /** Lines for the user. */
  readonly notes: readonly string[];
}

/** Options of {@linkcode openPretrained}. */
export interface OpenPretrainedOptions {
  /** A file or folder of text. */
  readonly corpus: string | undefined;
  /** Tokens per text. Default: 256, or the model's context if smaller. */
  readonly context?: number | undefined;
  /** Number of texts. Default: 20, or fewer if the corpus has fewer. */
  readonly texts?: number | undefined;
  /** Default: as the tokenizer decides. */
  readonly begin?: BeginPolicy | undefined;
  /** How documents become texts. Default: joined. */
  readonly documents?: DocumentPolicy | undefined;
  /**
   * Called before the texts are read (0 of 1), and while a model is fetched (`done` and `total` in
   * MB) or its weights are checked (in percent). `text` says which of these is going on.
   */
  readonly onProgress?: ((done: number, total: number, text: string) => void) | undefined;
}

/** Default number of tokens in a text. */
const CONTEXT = 256;
/** Default number of texts. */
const TEXTS = 20;

/**
 * Whether a path or name means a pretrained model: an existing folder with config.json and a
 * tokenizer but no run's settings; or, if the path does not exist, a name of the form OWNER/NAME.
 */
export async function isPretrained(model: string): Promise<boolean> {
  const isFile = async (...names: string[]) => {
    try {
      return (await Deno.stat(join(model, ...names))).isFile;
    } catch {
      return false; // Reading the folder later reports the reason.
    }
  };
  if (await exists(model)) {
    return !(await isFile("settings.json")) && (await isFile("config.json")) &&
      (await isFile("tokenizer.json") || await isFile("tokenizer_config.json"));
  }
  return isHubName(model);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/**
 * Opens a pretrained model.
 *
 * @param model a folder in Hugging Face's layout, or a name such as `HuggingFaceTB/SmolLM2-135M`,
 *   which is fetched from the hub if no folder has that name
 * @param options the text, and how to split it
 * @throws {CheckpointError} if the model cannot be fetched or is incomplete, or if the model or its
 *   tokenizer is not supported
 * @throws {CorpusError} if the text cannot be read or used
 * @throws {RangeError} for a context that is longer than the model's, or too short for any text
 */
export async function openPretrained(
  model: string,
  options: OpenPretrainedOptions,
): Promise<OpenedPretrained> {
  const { corpus, context, texts, begin = "as-tokenizer", documents = "joined" } = options;
  const { onProgress = () => {} } = options;
  if (corpus === undefined) {
    throw new CorpusError(
      `${model}: is a pretrained model: give it text to be measured on, --corpus=PATH`,
    );
  }
  const read = readDocuments(corpus);
  const notes: string[] = [];
  const limit = context ?? CONTEXT;
  onProgress(0, 1, "reading the texts");
  const folder = await exists(model) ? model : await fetched(model, { limit, notes, onProgress });
  const cached = cachedName(folder);
  if (cached !== undefined) notes.push(`${cached.name} is of commit ${cached.commit}`);
  const architecture = await readArchitecture(folder, { context: limit });
  const { positions, config: { vocabulary } } = architecture;
  if (context !== undefined && context > positions) {
    throw new RangeError(
      `--context is ${context}, wanted at most the ${positions} tokens that ${model} was made for`,
    );
  }
  const tokenizer = await openTokenizer(folder, { architecture });
  let made: TokenTexts;
  try {
    made = new TokenTexts(read, {
      tokenizer,
      vocabulary,
      context: Math.min(limit, positions),
      texts: texts ?? TEXTS,
      exactly: texts !== undefined,
      begin,
      documents,
    });
  } catch (error) {
    if (!(error instanceof CorpusError) || read.notes.length === 0) throw error;
    throw new CorpusError([error.message, ...read.notes].join("; "));
  }
  onProgress(0, 100, "checking the weights");
  const weights = await openWeights(folder, {
    context: limit,
    onProgress: (share) => onProgress(Math.round(100 * share), 100, "checking the weights"),
  });
  return {
    weights,
    tokenizer,
    texts: made,
    source: { run: nameOf(model), step: 0, task: "text", seed: null },
    notes: [...notes, ...weights.notes, ...tokenizer.notes, ...read.notes, ...made.notes],
    [Symbol.dispose]: () => weights[Symbol.dispose](),
  };
}

async function fetched(
  model: string,
  { limit, notes, onProgress }: {
    readonly limit: number;
    readonly notes: string[];
    readonly onProgress: (done: number, total: number, text: string) => void;
  },
): Promise<string> {
  if (!isHubName(model)) throw new CheckpointError(`${model}: no such folder`);
  const { folder, commit, fetched } = await fetchModel(model, {
    context: limit,
    onProgress: (done, total) =>
      onProgress(Math.round(done / 1e6), Math.round(total / 1e6), `MB of ${model}`),
  });
  notes.push(
    fetched
      ? `${model} of commit ${commit} is kept in ${folder}`
      : `${model} of commit ${commit} is from ${folder}: remove that folder to fetch the newest`,
  );
  return folder;
}

function nameOf(model: string): string {
  if (isHubName(model)) return model;
  return cachedName(model)?.name ?? (basename(resolve(model)) || model);
}

/**
 * Reads a model's name and commit from its folder's path, if the folder is in Hugging Face's own
 * cache. Such a path ends in models--OWNER--NAME/snapshots/COMMIT.
 */
function cachedName(
  folder: string,
): { readonly name: string; readonly commit: string } | undefined {
  const [commit, snapshots, model = ""] = resolve(folder).split(sep).reverse();
  const prefix = "models--";
  if (snapshots !== "snapshots" || !model.startsWith(prefix)) return undefined;
  return { name: model.slice(prefix.length).replaceAll("--", "/"), commit: commit! };
}
