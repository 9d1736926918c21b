/**
 * Checks a tokenizer's vocabulary, merges and added tokens. The library, @huggingface/tokenizers,
 * does not: from a malformed vocabulary it makes other tokens than Hugging Face's tokenizers, or
 * drops parts of a text.
 */
import { CheckpointError } from "../../checkpoint/error.ts";
import { objectOf, shown } from "../../checkpoint/json.ts";

type Fields = Readonly<Record<string, unknown>>;

/**
 * Checks the tokens of tokenizer.json.
 *
 * @returns the added tokens; empty if the file has none
 * @throws {CheckpointError} that names the first token that is malformed or missing, has two
 *   numbers, or shares its number with another token
 */
export function checkVocabulary(parts: Fields, path: string): readonly Fields[] {
  const model = objectOf(parts.model, `${path}: model`);
  const ids = model.type === "Unigram" ? piecesOf(model, path) : idsOf(model, path);
  if (model.type === "BPE") checkMerges(model, { ids, path });
  return addedTokens(parts, { ids, path });
}

function isTokenNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function idsOf(model: Fields, path: string): ReadonlyMap<string, number> {
  const ids = new Map(Object.entries(objectOf(model.vocab, `${path}: model.vocab`)));
  for (const [spelling, id] of ids) {
    if (isTokenNumber(id)) continue;
    throw new CheckpointError(
      `${path}: model.vocab gives ${shown(spelling)} the number ${shown(id)}, wanted an integer ` +
        "of at least 0",
    );
  }
  return ids as ReadonlyMap<string, number>;
}

/** A Unigram model lists pieces with their scores; a piece's index is its token number. */
function piecesOf(model: Fields, path: string): ReadonlyMap<string, number> {
  const pieces = listAt(model.vocab, `${path}: model.vocab`);
  return new Map(pieces.map((piece, id) => {
    if (Array.isArray(piece) && piece.length === 2) {
      const [spelling, score] = piece;
      if (typeof spelling === "string" && Number.isFinite(score)) return [spelling, id];
    }
    throw new CheckpointError(
      `${path}: model.vocab has ${shown(piece)} at place ${id}, wanted a piece and its score`,
    );
  }));
}

function checkMerges(
  model: Fields,
  { ids, path }: { readonly ids: ReadonlyMap<string, number>; readonly path: string },
): void {
  const prefix = model.continuing_subword_prefix ?? "";
  const skipped = typeof prefix === "string" ? prefix.length : 0;
  for (const merge of listAt(model.merges, `${path}: model.merges`)) {
    // Some converters keep the first line of merges.txt, which names its version.
    if (typeof merge === "string" && merge.startsWith("#version")) continue;
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    if (
      !Array.isArray(pair) || pair.length !== 2 || !pair.every((each) => typeof each === "string")
    ) {
      throw new CheckpointError(`${path}: model.merges has ${shown(merge)}, wanted two tokens`);
    }
    const [first, second] = pair as [string, string];
    for (const token of [first, second, first + second.slice(skipped)]) {
      if (ids.has(token)) continue;
      throw new CheckpointError(
        `${path}: model.merges has ${shown(merge)}, but model.vocab has no ${shown(token)}`,
      );
    }
  }
}

function addedTokens(
  parts: Fields,
  { ids, path }: { readonly ids: ReadonlyMap<string, number>; readonly path: string },
): readonly Fields[] {
  const spellings = new Map([...ids].map(([spelling, id]) => [id, spelling]));
  return listAt(parts.added_tokens ?? [], `${path}: added_tokens`).map((given, place) => {
    const token = objectOf(given, `${path}: added_tokens[${place}]`);
    const { id, content } = token;
    if (!isTokenNumber(id) || typeof content !== "string" || content === "") {
      throw new CheckpointError(
        `${path}: added_tokens has ${shown(token)}, wanted an id of at least 0 and a content`,
      );
    }
    const other = ids.get(content);
    if (other !== undefined && other !== id) {
      throw new CheckpointError(
        `${path}: added_tokens gives ${shown(content)} the id ${id}, but model.vocab ${other}`,
      );
    }
    const taken = spellings.get(id);
    if (taken !== undefined && taken !== content) {
      throw new CheckpointError(
        `${path}: added_tokens gives ${shown(content)} the id ${id}, which model.vocab gives ` +
          shown(taken),
      );
    }
    return token;
  });
}

function listAt(value: unknown, path: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new CheckpointError(`${path}: is ${shown(value)}, wanted a list`);
}
