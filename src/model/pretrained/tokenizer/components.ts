/**
 * Handles the parts of tokenizer.json that the library, @huggingface/tokenizers for JavaScript,
 * computes differently from Hugging Face's tokenizers for Python. Such a part is rewritten as parts
 * that the library computes exactly, or noted because tokens may differ, or refused by name.
 *
 * Sources: the README of @huggingface/tokenizers 0.2, "Regex compatibility", its code, and
 * tokenizers 0.23 for Python, whose results the tests contain.
 */
import { CheckpointError } from "../../checkpoint/error.ts";
import { objectOf, shown } from "../../checkpoint/json.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Components that the library computes exactly, except those in the notes. */
export interface ExactComponents {
  readonly parts: Fields;
  /** Notes on uncertain parts, one line each. */
  readonly notes: readonly string[];
}

const MODELS = ["BPE", "Unigram", "WordPiece"];

/**
 * Rewrites a tokenizer's parts so that the library computes them exactly, except the noted ones.
 *
 * @throws {CheckpointError} that names the first part that is malformed or unsupported
 */
export function exactComponents(parts: Fields, path: string): ExactComponents {
  const model = objectOf(parts.model, `${path}: model`);
  if (!MODELS.includes(model.type as string)) {
    throw new CheckpointError(
      `${path}: model.type is ${shown(model.type)}, wanted one of ${MODELS.join(", ")}`,
    );
  }
  if ((model.dropout ?? 0) !== 0) {
    throw new CheckpointError(
      `${path}: model.dropout is ${
        shown(model.dropout)
      }, wanted null: tokens would differ by chance`,
    );
  }
  const notes: string[] = [];
  const normalizers = listOf(parts.normalizer, "normalizers", `${path}: normalizer`);
  if (normalizers.some(({ type }) => type === "Precompiled")) {
    notes.push(`${path}: the normalizer Precompiled is computed by JavaScript's NFKC instead`);
  }
  for (const part of normalizers) {
    if (part.type === "Replace") checkPattern(part, `${path}: normalizer`);
  }
  const preTokenizers = listOf(parts.pre_tokenizer, "pretokenizers", `${path}: pre_tokenizer`)
    .flatMap((part) => exactPreTokenizer(part, path));
  const patterns = preTokenizers.map(({ pattern }) => pattern)
    .filter(neverGivesBack);
  if (patterns.length > 0) {
    notes.push(
      `${path}: the pattern ${
        shown(patterns[0])
      } holds possessive quantifiers or atomic groups, which ` +
        "are computed as ordinary ones",
    );
  }
  const preTokenizer = preTokenizers.length === 0
    ? null
    : { type: "Sequence", pretokenizers: preTokenizers };
  return { parts: { ...parts, pre_tokenizer: preTokenizer }, notes };
}

/**
 * Whether a pattern has a possessive quantifier, such as `a++`, or an atomic group, `(?>a)`, which
 * never backtrack. The braces of `\p{L}` do not count as a quantifier.
 */
function neverGivesBack(pattern: unknown): boolean {
  const { Regex: regex } = (pattern ?? {}) as Fields;
  if (typeof regex !== "string") return false;
  const bare = regex
    .replaceAll(/\\[pPx]\{[^}]*\}|\\./g, "x")
    .replaceAll(/\[(\[[^\]]*\]|[^\]])*\]/g, "x");
  return /\(\?>|[*+?}]\+/.test(bare);
}

/** Lists the part itself or, for a sequence, all parts in it and in the sequences inside it. */
function listOf(part: unknown, inner: string, path: string): Fields[] {
  if (part === null || part === undefined) return [];
  const fields = objectOf(part, path);
  const parts = fields[inner];
  return fields.type === "Sequence" && Array.isArray(parts)
    ? parts.flatMap((each) => listOf(objectOf(each, path), inner, path))
    : [fields];
}

function split(regex: string, behavior = "Isolated"): Fields {
  return {
    type: "Split",
    pattern: { Regex: regex },
    behavior,
    // Inverted, "Removed" drops the text between matches and keeps the matches.
    invert: behavior === "Removed",
  };
}

/** Punctuation of ASCII and of Unicode. */
const PUNCTUATION = "[\\p{P}!-/:-@\\[-`{-~]";

function exactPreTokenizer(part: Fields, path: string): Fields[] {
  switch (part.type) {
    case "Digits":
      // The library's Digits knows only Unicode's category Nd. So split by all of category N.
      return [split(part.individual_digits === true ? "\\p{N}" : "\\p{N}+")];
    case "Whitespace":
      // The library's Whitespace takes only ASCII letters for letters. So use a Split instead.
      return [split("\\w+|[^\\w\\s]+", "Removed")];
    case "Metaspace": {
      if (part.split === false) return [part];
      const mark = String(part.replacement ?? "▁");
      if (mark.length !== 1) break;
      // Python's Metaspace also splits the text before each mark. The library's does not, so add a
      // Split that does.
      return [part, split(`[${mark}][^${mark}]*`)];
    }
    case "Punctuation":
      switch (behaviorOf(part)) {
        case "contiguous":
          return [part];
        case "isolated":
          return [split(PUNCTUATION)];
        case "removed":
          return [split(`${PUNCTUATION.replace("[", "[^")}+`, "Removed")];
      }
      break;
    case "Split": {
      checkPattern(part, `${path}: pre_tokenizer`);
      const inverted = part.invert === true;
      const behavior = behaviorOf(part);
      if (JSON.stringify(part.pattern ?? null).includes("\\\\G")) break;
      if (behavior === "removed" || (behavior === "isolated" && !inverted)) return [part];
      break;
    }
    default:
      return [part];
  }
  throw new CheckpointError(`${path}: the pre_tokenizer ${shown(part)} is not computed`);
}

/**
 * Refuses a pattern that is neither a Regex nor a String. With such a pattern the library's Split
 * drops its whole input, and its Replace replaces nothing.
 */
function checkPattern({ pattern }: Fields, path: string): void {
  const { Regex: regex, String: text } = objectOf(pattern, `${path}: pattern`);
  if (typeof (regex ?? text) === "string") return;
  throw new CheckpointError(`${path}: pattern is ${shown(pattern)}, wanted a Regex or a String`);
}

function behaviorOf({ behavior }: Fields): string {
  return String(behavior ?? "isolated").toLowerCase();
}
