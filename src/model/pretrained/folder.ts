/** Checks that a user's path is a folder with a model. If not, the error says what the path is. */
import { basename, join } from "node:path";
import { CheckpointError } from "../checkpoint/error.ts";
import { reasonOf } from "../checkpoint/json.ts";
import { fileNames, otherKind, otherWeights } from "./weights/files.ts";

/** The prefix of model folders' names in the cache of Hugging Face's own programs. */
const CACHED = "models--";

/**
 * Refuses a path that is not a folder. The error says what the path is.
 *
 * @throws {CheckpointError} if the path does not exist, cannot be read, or is a file
 */
export async function checkModelFolder(folder: string): Promise<void> {
  let isDirectory: boolean;
  try {
    ({ isDirectory } = await Deno.stat(folder));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new CheckpointError(`${folder}: no such folder`);
    }
    throw new CheckpointError(`${folder}: cannot be read: ${reasonOf(error)}`);
  }
  if (isDirectory) return;
  const name = basename(folder);
  const kind = name.endsWith(".safetensors") ? undefined : otherKind(name);
  throw new CheckpointError(
    `${folder}: is ${kind ?? "a file: give the folder that it is in, with config.json"}`,
  );
}

/**
 * Refuses a path unless it is a folder with a model or a training run. The error says what the path
 * is, or what the folder holds.
 *
 * @throws {CheckpointError} if the path is not a folder, or the folder holds none of config.json,
 *   model.safetensors and settings.json
 */
export async function checkHoldsModel(folder: string): Promise<void> {
  await checkModelFolder(folder);
  const names = await fileNames(folder);
  const isIn = (name: string) => names.includes(name);
  if (["config.json", "model.safetensors", "settings.json"].some(isIn)) return;
  throw new CheckpointError(`${folder}: ${await contentOf(folder, names)}`);
}

async function contentOf(folder: string, names: readonly string[]): Promise<string> {
  if (names.includes("snapshots")) {
    return `is a model's folder in the cache of Hugging Face: give a commit's folder in it, ${await commitIn(
      folder,
    )}`;
  }
  const cached = names.find((name) => name.startsWith(CACHED));
  if (cached !== undefined) {
    const commit = await commitIn(join(folder, cached));
    return `is the cache of Hugging Face: give the folder of a model's commit, such as ${commit}`;
  }
  const other = otherWeights(names);
  if (other !== undefined) return `has no config.json, but ${other}`;
  const parts = names.filter((name) => /^(generation_config|tokenizer.*)\.json$/.test(name));
  return "holds neither a run, with settings.json, nor a model, with config.json, model.safetensors and " +
    `tokenizer.json${parts.length === 0 ? "" : `, but only ${parts.join(", ")}`}`;
}

/** Finds a commit's folder in a cached model's folder, preferably the commit of branch `main`. */
async function commitIn(folder: string): Promise<string> {
  const snapshots = join(folder, "snapshots");
  const commits = await fileNames(snapshots);
  const main = await Deno.readTextFile(join(folder, "refs", "main")).catch(() => "");
  return join(snapshots, commits.find((name) => name === main.trim()) ?? commits[0] ?? "COMMIT");
}
