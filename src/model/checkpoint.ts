/**
 * Checkpoints on disk: folders with the optimizer's state and a model in Hugging Face's layout. A
 * checkpoint is written under a temporary name, flushed and renamed. So an existing checkpoint is
 * always complete, even if its writer was killed.
 */
import { basename, dirname, join } from "node:path";
import type { LlamaConfig } from "../reference/llama/config.ts";
import { listParameters } from "../reference/llama/parameters.ts";
import { CheckpointError } from "./checkpoint/error.ts";
import { huggingFaceConfig } from "./checkpoint/hugging_face.ts";
import { readJsonObject, reasonOf, shown } from "./checkpoint/json.ts";
import {
  type NamedTensor,
  readSafetensors,
  safetensorsPieces,
  takeTensors,
} from "./checkpoint/safetensors.ts";
import { openWeights } from "./pretrained/weights.ts";

/** Each parameter's elements, by the parameter's name. */
export type ParameterValues = ReadonlyMap<string, Float32Array<ArrayBuffer>>;

/** A stored model. */
export interface StoredModel {
  readonly config: LlamaConfig;
  /**
   * The context length T with which the model was trained; for a pretrained model, config.json's
   * `max_position_embeddings`.
   */
  readonly context: number;
  readonly parameters: ParameterValues;
}

/** AdamW's moments of one parameter. */
export interface StoredMoments {
  readonly first: Float32Array<ArrayBuffer>;
  readonly second: Float32Array<ArrayBuffer>;
}

/** The state from which training resumes. */
export interface Checkpoint extends StoredModel {
  /** The number of training steps done. */
  readonly step: number;
  readonly moments: ReadonlyMap<string, StoredMoments>;
  /** The rest of the trainer's state, as a value that JSON can express. */
  readonly state: unknown;
}

const CONFIG = "config.json";
const MODEL = "model.safetensors";
const OPTIMIZER = "optimizer.safetensors";
const TRAINING = "training.json";
const TRAINING_SCHEMA = "gradsink-training/1";

/** The prefix of a temporary checkpoint's name. */
const TEMPORARY = ".writing-";

/**
 * Writes a checkpoint.
 *
 * @param path the checkpoint's folder, which must not exist; its parent folder must exist
 * @throws {CheckpointError} if writing fails, which leaves no incomplete checkpoint, or if the
 *   checkpoint is complete but its parent folder cannot be flushed
 */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { config, context, parameters, moments, step, state } = checkpoint;
  const temporary = join(dirname(path), `${TEMPORARY}${basename(path)}`);
  const shapes = new Map(listParameters(config).map(({ name, shape }) => [name, shape]));
  const named = (values: Iterable<readonly [string, Float32Array<ArrayBuffer>]>, prefix = "") =>
    new Map(
      [...values].map(([name, data]): [string, NamedTensor] => [
        `${prefix}${name}`,
        { shape: shapes.get(name)!, data },
      ]),
    );
  const optimizer = new Map([
    ...named([...moments].map(([name, { first }]) => [name, first] as const), "exp_avg."),
    ...named([...moments].map(([name, { second }]) => [name, second] as const), "exp_avg_sq."),
  ]);
  try {
    await Deno.remove(temporary, { recursive: true }).catch(() => {}); // Left by a killed process.
    await Deno.mkdir(temporary);
    await writePieces(join(temporary, CONFIG), jsonPieces(huggingFaceConfig(config, context)));
    await writePieces(join(temporary, MODEL), safetensorsPieces(named(parameters)));
    await writePieces(join(temporary, OPTIMIZER), safetensorsPieces(optimizer));
    const training = { schema: TRAINING_SCHEMA, step, state };
    await writePieces(join(temporary, TRAINING), jsonPieces(training));
    await syncFolder(temporary);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary, { recursive: true }).catch(() => {}); // Report the first error.
    throw new CheckpointError(`${path}: cannot be written: ${reasonOf(error)}`);
  }
  try {
    await syncFolder(dirname(path));
  } catch (error) {
    throw new CheckpointError(
      `${path}: is complete, but may not survive a power failure, because its folder cannot be ` +
        `flushed to the disk: ${reasonOf(error)}`,
    );
  }
}

function* jsonPieces(value: unknown): Generator<Uint8Array<ArrayBuffer>> {
  yield new TextEncoder().encode(JSON.stringify(value, undefined, 2) + "\n");
}

async function writePieces(path: string, pieces: Iterable<Uint8Array>): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  for (const piece of pieces) {
    for (let offset = 0; offset < piece.length;) {
      offset += await file.write(piece.subarray(offset));
    }
  }
  await file.sync();
}

/** Flushes a folder's entries. Windows and some file systems have no such operation. */
async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path, { read: true });
  try {
    await folder.sync();
  } catch (error) {
    const { code } = error as { readonly code?: string };
    if (!["EINVAL", "ENOTSUP", "EOPNOTSUPP"].includes(code!)) throw error;
  }
}

/**
 * Removes a checkpoint. Renames it first, so that no half-removed folder is mistaken for a
 * checkpoint.
 */
export async function removeCheckpoint(path: string): Promise<void> {
  const temporary = join(dirname(path), `${TEMPORARY}${basename(path)}-removed`);
  await Deno.rename(path, temporary);
  await Deno.remove(temporary, { recursive: true });
}

/**
 * Removes checkpoints that killed processes left half-written or half-removed.
 *
 * @param folder the checkpoints' folder; no other process may be using it
 */
export async function removeHalfWritten(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith(TEMPORARY)) await Deno.remove(join(folder, name), { recursive: true });
  }
}

/**
 * Reads a model of this project, or any other model that `openWeights` can open.
 *
 * @param path the model's folder
 * @throws {CheckpointError} if the model is not supported, or if a file or tensor is missing,
 *   incomplete, not finite, or of the wrong shape or type
 */
export async function readModel(path: string): Promise<StoredModel> {
  using weights = await openWeights(path);
  const { config, positions: context } = weights.architecture;
  const parameters = new Map<string, Float32Array<ArrayBuffer>>();
  for (const name of weights.shapes.keys()) parameters.set(name, await weights.read(name));
  return { config, context, parameters };
}

/**
 * Reads the state from which training resumes.
 *
 * @param path a checkpoint's folder
 * @throws {CheckpointError} if the model cannot be read, or the state of the optimizer or the
 *   trainer is missing, incomplete or invalid
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const model = await readModel(path);
  const optimizerPath = join(path, OPTIMIZER);
  const parameters = listParameters(model.config);
  const tensors = await readSafetensors(optimizerPath);
  const taken = takeTensors(optimizerPath, {
    tensors,
    wanted: ["exp_avg.", "exp_avg_sq."].flatMap((prefix) =>
      parameters.map(({ name, shape }) => ({ name: `${prefix}${name}`, shape }))
    ),
  });
  const moments = new Map(parameters.map(({ name }): [string, StoredMoments] => [name, {
    first: taken.get(`exp_avg.${name}`)!,
    second: taken.get(`exp_avg_sq.${name}`)!,
  }]));
  for (const [name, { second }] of moments) {
    const bad = second.findIndex((value) => value < 0);
    if (bad >= 0) {
      throw new CheckpointError(
        `${optimizerPath}: exp_avg_sq.${name} holds ${
          second[bad]
        } at element ${bad}, wanted at least 0`,
      );
    }
  }
  return { ...model, moments, ...await readTraining(join(path, TRAINING)) };
}

async function readTraining(path: string): Promise<Pick<Checkpoint, "step" | "state">> {
  const { schema, step, state } = await readJsonObject(path);
  if (schema !== TRAINING_SCHEMA) {
    throw new CheckpointError(`${path}: schema is ${shown(schema)}, wanted "${TRAINING_SCHEMA}"`);
  }
  if (!Number.isSafeInteger(step) || (step as number) < 0) {
    throw new CheckpointError(`${path}: step is ${shown(step)}, wanted an integer of at least 0`);
  }
  return { step: step as number, state };
}
