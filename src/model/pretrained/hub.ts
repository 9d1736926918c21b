/**
 * Fetches models by name from Hugging Face's hub into the user's cache, with @huggingface/hub. It
 * uses the network only for a model that is not in the cache.
 */
import { join } from "node:path";
import { projectCacheFolder } from "../../files/cache_folder.ts";
import { waitForLock } from "../../files/claim.ts";
import {
  askPermissions,
  type FOLDER_VARIABLES,
  hasPermissions,
  typedPermissionFlags,
} from "../../permissions.ts";
import { parseHuggingFaceConfig } from "../checkpoint/hugging_face.ts";
import { readText } from "../checkpoint/json.ts";
import { type HubAccess, hubAccess } from "./hub/access.ts";
import { HubClient } from "./hub/client.ts";
import { downloadFile, type HubFile } from "./hub/download.ts";
import { neededFiles } from "./hub/files.ts";
import { checkRoom } from "./hub/room.ts";

/** A model from the hub, in a folder on this machine. */
export interface FetchedModel {
  /** The folder of its files. */
  readonly folder: string;
  /** The commit of the files. */
  readonly commit: string;
  /** Whether this call fetched the files; false if they were in the cache. */
  readonly fetched: boolean;
}

/** Options of {@linkcode fetchModel}. */
export interface FetchModelOptions {
  /** Called with the number of bytes on disk, and the size of all files known so far, in bytes. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /**
   * The longest context that the model will get. Weights of a model that is unsupported at this
   * length are not fetched.
   */
  readonly context?: number | undefined;
  /** The folder for models; the user's cache by default. */
  readonly cache?: string | undefined;
  /** The hub's address and the user's token; from the environment by default. */
  readonly access?: HubAccess | undefined;
  /** Waits before a further attempt; tests replace it. */
  readonly delay?: ((ms: number) => Promise<void>) | undefined;
  /** How long a download waits for its next bytes before it tries again, in ms. Default: 60,000. */
  readonly patience?: number | undefined;
}

/**
 * A model's name, `OWNER/MODEL`. A branch, tag or commit may follow after `@`. The default is the
 * branch `main`.
 */
const NAME = /^([\w][\w.-]*\/[\w][\w.-]*)(?:@([\w][\w.-]*))?$/;

/**
 * Whether a text can be a model's name on the hub.
 *
 * @param text for example `HuggingFaceTB/SmolLM2-135M` or `HuggingFaceTB/SmolLM2-135M@main`
 */
export function isHubName(text: string): boolean {
  return NAME.test(text) && !text.includes("..");
}

/**
 * Finds a model in the user's cache, or else fetches it from the hub.
 *
 * It needs permission to read the cache. For a model that is not there, it also needs permission to
 * write to the cache and to use the network. On a terminal it asks the user for these permissions.
 * It reads HF_TOKEN and HF_ENDPOINT if it may read the environment.
 *
 * @param name a name that {@linkcode isHubName} accepts
 * @throws {CheckpointError} if the hub cannot be reached; if the model does not exist, is not
 *   accessible, is not supported or does not arrive complete; if the disk has no room for it; or if
 *   HF_ENDPOINT or HF_TOKEN is malformed
 * @throws {Deno.errors.NotCapable} that names the flag of a missing permission
 * @throws {RangeError} if `name` cannot be a name on the hub
 */
export async function fetchModel(
  name: string,
  options: FetchModelOptions = {},
): Promise<FetchedModel> {
  const [, model, revision = "main"] = NAME.exec(name) ?? [];
  if (model === undefined || !isHubName(name)) {
    throw new RangeError(`fetchModel: ${JSON.stringify(name)} is no name of a model on the hub`);
  }
  const root = join(options.cache ?? modelCache(), model.replace("/", "--"));
  const cached = await cachedModel(root, revision);
  if (cached !== undefined) return cached;
  const { access = hubAccess() } = options;
  await askFor(access, { root, action: `fetching ${model} from ${access.address}` });
  await Deno.mkdir(root, { recursive: true });
  // One process fetches at a time. The next one then finds the files that this one fetched.
  using lock = await Deno.open(join(root, ".lock"), { write: true, create: true });
  await waitForLock(lock);
  return await cachedModel(root, revision) ??
    await fetchFiles({ model, revision, root, access }, options);
}

/** The prefix of a commit's folder until all of its files are there. */
const UNFINISHED = ".unfinished-";

/**
 * Asks for permission to use the network and to write to the cache. If the network is refused, the
 * error names all of the hub's hosts.
 */
async function askFor(
  { hosts }: HubAccess,
  { root, action }: { readonly root: string; readonly action: string },
): Promise<void> {
  const write = { name: "write", value: root } as const;
  const network = { name: "net", value: hosts[0]! } as const;
  try {
    await askPermissions([write, network], { action });
  } catch (error) {
    const flags = typedPermissionFlags([
      ...hasPermissions([write]) ? [] : [write],
      ...hasPermissions([network]) ? [] : hosts.map((value) => ({ name: "net", value }) as const),
    ]);
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw new Deno.errors.NotCapable(
      `${action}: missing permission, run again with ${flags}`,
    );
  }
}

/** The cache's folder for all models of the hub. */
function modelCache(): string {
  const value = (name: typeof FOLDER_VARIABLES[number]) =>
    hasPermissions([{ name: "env", value: name }]) ? Deno.env.get(name) : undefined;
  const [HOME, XDG_CACHE_HOME] = [value("HOME"), value("XDG_CACHE_HOME")];
  return join(projectCacheFolder({ HOME, XDG_CACHE_HOME }), "models");
}

/**
 * Finds a revision's files in the cache. A folder named after a commit is complete, because an
 * unfinished folder's name has a prefix.
 */
async function cachedModel(root: string, revision: string): Promise<FetchedModel | undefined> {
  for (const commit of [await readOptional(join(root, "refs", revision)), revision]) {
    if (commit === undefined || !/^[0-9a-f]{40}$/.test(commit)) continue;
    const folder = join(root, commit);
    if (await readOptional(join(folder, "config.json")) !== undefined) {
      return { folder, commit, fetched: false };
    }
  }
  return undefined;
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

interface Wanted {
  readonly model: string;
  readonly revision: string;
  readonly root: string;
  readonly access: HubAccess;
}

async function fetchFiles(
  { model, revision, root, access }: Wanted,
  options: FetchModelOptions,
): Promise<FetchedModel> {
  const { context, delay = wait } = options;
  const hub = await HubClient.open({ model, access, delay });
  const commit = await hub.commit(revision);
  const cached = await cachedModel(root, commit);
  if (cached !== undefined) {
    await keepName(root, { revision, commit });
    return cached;
  }
  const needed = neededFiles(await hub.list(commit), model);
  const unfinished = join(root, `${UNFINISHED}${commit}`);
  await Deno.mkdir(unfinished, { recursive: true });
  const fetchAll = fetcher(hub, { commit, folder: unfinished, options });
  // Small files first: an unsupported model is then refused before its weights are fetched.
  await fetchAll(needed.small);
  const config = join(unfinished, "config.json");
  parseHuggingFaceConfig(await readText(config), `${model}: config.json`, { context });
  const weights = await needed.weights(unfinished);
  await checkRoom(unfinished, weights);
  await fetchAll(weights);
  const folder = join(root, commit);
  await Deno.rename(unfinished, folder);
  await removeUnfinished(root);
  await keepName(root, { revision, commit });
  return { folder, commit, fetched: true };
}

/** Records in the cache which commit a branch or tag stands for. */
async function keepName(
  root: string,
  { revision, commit }: { readonly revision: string; readonly commit: string },
): Promise<void> {
  await Deno.mkdir(join(root, "refs"), { recursive: true });
  await Deno.writeTextFile(join(root, "refs", revision), commit);
}

/** Returns a function that fetches a list of files. All of its calls report one joint progress. */
function fetcher(
  hub: HubClient,
  { commit, folder, options }: {
    readonly commit: string;
    readonly folder: string;
    readonly options: FetchModelOptions;
  },
): (files: readonly HubFile[]) => Promise<void> {
  const { onProgress = () => {}, patience = 60_000, delay = wait } = options;
  let [done, total] = [0, 0];
  return async (files) => {
    total += files.reduce((sum, { size }) => sum + size, 0);
    for (const file of files) {
      const path = join(folder, file.name);
      const before = done;
      done += file.size;
      if (await isWhole(path, file.size)) {
        onProgress(done, total);
        continue;
      }
      await downloadFile(file, {
        path,
        partial: `${path}.part`,
        read: (offset) => hub.read(commit, { file, offset }),
        failure: () => hub.failure,
        onProgress: (bytes) => onProgress(before + bytes, total),
        delay,
        patience,
      });
    }
  };
}

/** Removes the unfinished folders that interrupted fetches of other commits left. */
async function removeUnfinished(root: string): Promise<void> {
  for await (const { name } of Deno.readDir(root)) {
    if (name.startsWith(UNFINISHED)) await Deno.remove(join(root, name), { recursive: true });
  }
}

async function isWhole(path: string, size: number): Promise<boolean> {
  try {
    return (await Deno.stat(path)).size === size;
  } catch {
    return false; // A missing file is fetched.
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
