/**
 * Compares tokenizer_config.json with tokenizer.json. To split a text, some programs follow the
 * first file, others the second. gradsink follows tokenizer.json alone.
 */
import { plural } from "../../../plural.ts";
import { CheckpointError } from "../../checkpoint/error.ts";
import { objectOf, shown } from "../../checkpoint/json.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What is compared. */
export interface Agreement {
  /** tokenizer_config.json's fields. */
  readonly settings: Fields;
  /** tokenizer.json's parts. */
  readonly parts: Fields;
  /** The numbers of tokenizer.json's added tokens, by the tokens' text. */
  readonly added: ReadonlyMap<string, number>;
  /** The tokens that tokenizer.json's post-processor puts before a text. */
  readonly prefix: readonly number[];
  readonly beginToken: number | undefined;
}

/**
 * Checks that the two files agree.
 *
 * @returns notes on ignored settings of tokenizer_config.json, one line each
 * @throws {CheckpointError} if they contradict each other on BOS or on a token's number, or a
 *   setting of tokenizer_config.json is malformed
 */
export function compareSettings(folder: string, files: Agreement): readonly string[] {
  refuseOtherBegin(folder, files);
  return [...missingTokens(folder, files), ...otherSpace(folder, files)];
}

function refuseOtherBegin(folder: string, { settings, prefix, beginToken }: Agreement): void {
  const { add_bos_token: asked } = settings;
  if (asked === undefined || asked === null) return;
  if (typeof asked !== "boolean") {
    throw new CheckpointError(
      `${folder}: tokenizer_config.json says add_bos_token ${shown(asked)}, wanted true or false`,
    );
  }
  const begins = beginToken !== undefined && prefix.includes(beginToken);
  if (beginToken === undefined || asked === begins) return;
  throw new CheckpointError(
    `${folder}: tokenizer_config.json says add_bos_token ${asked}, but tokenizer.json's post_processor ` +
      `${begins ? "adds" : "does not add"} it: change one of them`,
  );
}

/**
 * Returns a note if tokenizer_config.json names tokens that tokenizer.json lacks. Throws if the two
 * files give a token different numbers.
 */
function missingTokens(folder: string, { settings, added }: Agreement): string[] {
  const missing: string[] = [];
  const decoder = objectOf(
    settings.added_tokens_decoder ?? {},
    `${folder}: tokenizer_config.json: added_tokens_decoder`,
  );
  for (const [id, token] of Object.entries(decoder)) {
    const content = contentOf(token);
    const known = added.get(content);
    if (known === undefined) missing.push(content);
    else if (String(known) !== id) {
      throw new CheckpointError(
        `${folder}: tokenizer_config.json's added_tokens_decoder gives ${shown(content)} the ` +
          `number ${id}, but tokenizer.json ${known}: change one of them`,
      );
    }
  }
  const more = settings.additional_special_tokens;
  for (const token of Array.isArray(more) ? more : []) {
    const content = contentOf(token);
    if (!added.has(content) && !missing.includes(content)) missing.push(content);
  }
  if (missing.length === 0) return [];
  return [
    `${folder}: tokenizer_config.json adds ${
      plural(missing.length, "token")
    } that tokenizer.json ` +
    `lacks, such as ${shown(missing[0])}; transformers would split texts at them, but this ` +
    "program follows tokenizer.json",
  ];
}

function contentOf(token: unknown): string {
  const content = typeof token === "object" && token !== null
    ? (token as { content?: unknown }).content
    : token;
  return String(content);
}

/**
 * Returns a note if the setting `add_prefix_space` contradicts tokenizer.json. In gradsink,
 * tokenizer.json's parts decide whether a text gets a space in front. Some tokenizer classes of
 * Hugging Face's transformers change these parts to match the setting.
 */
function otherSpace(folder: string, { settings, parts }: Agreement): string[] {
  const { add_prefix_space: asked } = settings;
  if (typeof asked !== "boolean") return [];
  const text = JSON.stringify([parts.normalizer ?? null, parts.pre_tokenizer ?? null]);
  const adds = text.includes('"add_prefix_space":true') || text.includes('"type":"Prepend"') ||
    /"prepend_scheme":"(first|always)"/.test(text);
  if (adds === asked) return [];
  return [
    `${folder}: tokenizer_config.json says add_prefix_space ${asked}, but tokenizer.json ` +
    `${adds ? "adds" : "does not add"} a space; this program follows tokenizer.json`,
  ];
}
