/**
 * Matches stored tensors with a model's parameters. Also finds a stored copy of a tied head, and
 * stored frequencies of RoPE.
 */
import { CheckpointError } from "../../checkpoint/error.ts";
import type { TensorFile } from "../../checkpoint/safetensors/file.ts";
import { quoted } from "../../checkpoint/safetensors/header.ts";
import { HEAD, listParameters } from "../../../reference/llama/parameters.ts";
import type { Architecture } from "../architecture.ts";

/** A stored tensor. */
export interface Place {
  readonly file: TensorFile;
  /** Its name in the file. */
  readonly name: string;
}

/** A model's tensors in files. */
export interface MatchedTensors {
  /** Each parameter's stored tensor by name, in the order of `listParameters`. */
  readonly parameters: ReadonlyMap<string, Place>;
  /** The head's own stored tensor, if a model with a tied head has one. */
  readonly tiedHead: Place | undefined;
  /** RoPE's frequencies, which older programs stored. */
  readonly frequencies: readonly Place[];
}

const FREQUENCIES = /(^|\.)rotary_emb\.inv_freq$/;

/**
 * Finds a model's parameters among stored tensors, by names, shapes and types.
 *
 * @param stored each stored tensor's file, by the tensor's name
 * @param options the model, and its folder for error messages
 * @throws {CheckpointError} that names the first tensor that is missing, has another shape or type,
 *   or is not the model's
 */
export function matchTensors(
  stored: ReadonlyMap<string, TensorFile>,
  { architecture, folder }: { readonly architecture: Architecture; readonly folder: string },
): MatchedTensors {
  const { config } = architecture;
  const places = new Map<string, Place>();
  // A model that was stored without its head has names without the prefix "model.".
  const prefix = stored.has("embed_tokens.weight") && !stored.has("model.embed_tokens.weight")
    ? "model."
    : "";
  for (const [name, file] of stored) {
    places.set(name === HEAD ? name : `${prefix}${name}`, { file, name });
  }
  const wanted = listParameters(config);
  const missing = wanted.filter(({ name }) => !places.has(name)).map(({ name }) => name);
  if (missing.length > 0) refuseMissing(missing, { architecture, folder });
  const parameters = new Map<string, Place>();
  for (const { name, shape } of wanted) {
    const place = places.get(name)!;
    checkShape(place, shape);
    places.delete(name);
    parameters.set(name, place);
  }
  const tiedHead = config.tiedHead ? places.get(HEAD) : undefined;
  if (tiedHead !== undefined) {
    checkShape(tiedHead, [config.vocabulary, config.modelDim]);
    places.delete(HEAD);
  }
  const frequencies = [...places.values()].filter(({ name }) => FREQUENCIES.test(name));
  for (const place of frequencies) checkShape(place, [config.headDim / 2]);
  for (const { name, file } of places.values()) {
    if (FREQUENCIES.test(name)) continue;
    throw new CheckpointError(
      `${file.path}: holds ${
        quoted(name)
      }, which the model does not have: a ${architecture.family} ` +
        "as config.json describes it would not use it",
    );
  }
  return { parameters, tiedHead, frequencies };
}

function refuseMissing(
  [first, ...others]: readonly string[],
  { architecture, folder }: { readonly architecture: Architecture; readonly folder: string },
): never {
  const more = others.length === 0 ? "" : `, one of ${others.length + 1} that are missing`;
  const advice = first === HEAD
    ? ", though config.json's tie_word_embeddings does not say that the head is the embedding"
    : `: config.json describes a ${architecture.family} of ${architecture.config.layers} layers`;
  throw new CheckpointError(`${folder}: ${first} is missing${more}${advice}`);
}

function checkShape({ file, name }: Place, wanted: readonly number[]): void {
  const { shape } = file.entries.get(name)!;
  if (shape.join() !== wanted.join()) {
    throw new CheckpointError(
      `${file.path}: ${name} has shape [${shape.join(", ")}], wanted [${wanted.join(", ")}]`,
    );
  }
  file.typeOf(name);
}
