/**
 * A run's folder:
 *
 *     settings.json       the run's settings
 *     metrics.jsonl       losses and measurements
 *     checkpoints/step-N  the model after N steps, in Hugging Face's layout
 *     run.lock            locked by the training process
 */
import { join } from "node:path";
import { tryLock } from "../../files/claim.ts";
import { writeTextFile } from "../../files/write.ts";
import {
  type Checkpoint,
  readCheckpoint,
  removeCheckpoint,
  removeHalfWritten,
  writeCheckpoint,
} from "../../model/checkpoint.ts";
import { RunError } from "./error.ts";
import { checkRunSettings, RUN_SCHEMA, type RunSettings } from "./settings.ts";

/** An existing checkpoint. */
export interface CheckpointEntry {
  /** The number of steps done. */
  readonly step: number;
  /** The checkpoint's folder. */
  readonly path: string;
}

const SETTINGS = "settings.json";
const METRICS = "metrics.jsonl";
const CHECKPOINTS = "checkpoints";
const LOCK = "run.lock";

/** The path of a run's metrics. */
export function metricsPath(folder: string): string {
  return join(folder, METRICS);
}

/**
 * Reads a run's settings.
 *
 * @throws {RunError} if there is no run, or its settings are wrong or of another version
 */
export async function readRunSettings(folder: string): Promise<RunSettings> {
  const path = join(folder, SETTINGS);
  let settings: RunSettings;
  try {
    settings = JSON.parse(await Deno.readTextFile(path)) as RunSettings;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      throw new RunError(`${folder}: holds no run, ${SETTINGS} is missing`);
    }
    throw new RunError(`${path}: ${error instanceof SyntaxError ? "is not JSON" : says(error)}`);
  }
  if (typeof settings !== "object" || settings === null || settings.schema !== RUN_SCHEMA) {
    throw new RunError(`${path}: is not of the form ${RUN_SCHEMA}`);
  }
  try {
    checkRunSettings(settings);
  } catch (error) {
    throw new RunError(`${path}: ${says(error)}`);
  }
  return settings;
}

/**
 * Lists a run's checkpoints, oldest first.
 *
 * @throws {RunError} if the folder cannot be read
 */
export async function listCheckpoints(folder: string): Promise<CheckpointEntry[]> {
  const path = join(folder, CHECKPOINTS);
  const found: CheckpointEntry[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      const match = /^step-(\d{1,15})$/.exec(name);
      if (isDirectory && match !== null) {
        found.push({ step: Number(match[1]), path: join(path, name) });
      }
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new RunError(`${path}: ${says(error)}`);
  }
  return found.sort((a, b) => a.step - b.step);
}

/** A run's folder, locked for this process. */
export class RunFolder implements Disposable {
  readonly path: string;
  readonly settings: RunSettings;
  readonly #lock: Deno.FsFile;

  private constructor(path: string, settings: RunSettings, lock: Deno.FsFile) {
    this.path = path;
    this.settings = settings;
    this.#lock = lock;
  }

  /**
   * Creates a run's folder.
   *
   * @param path a new or empty folder
   * @throws {RunError} if it is not empty, another process trains in it, or it cannot be created
   */
  static async create(path: string, settings: RunSettings): Promise<RunFolder> {
    try {
      await Deno.mkdir(path, { recursive: true });
    } catch (error) {
      throw new RunError(`${path}: cannot be made: ${says(error)}`);
    }
    await refuseUnlessEmpty(path);
    const lock = await takeLock(path);
    try {
      await refuseUnlessEmpty(path); // Another process may have begun meanwhile.
      await Deno.mkdir(join(path, CHECKPOINTS), { recursive: true });
      await writeTextFile(join(path, SETTINGS), JSON.stringify(settings, undefined, 2) + "\n");
      return new RunFolder(path, settings, lock);
    } catch (error) {
      lock.close();
      throw error instanceof RunError ? error : new RunError(`${path}: ${says(error)}`);
    }
  }

  /**
   * Opens the folder of an existing run.
   *
   * @throws {RunError} if there is no run, another process trains in it, its settings are wrong, or
   *   the folder cannot be written
   */
  static async open(path: string): Promise<RunFolder> {
    const settings = await readRunSettings(path);
    const lock = await takeLock(path);
    try {
      await Deno.mkdir(join(path, CHECKPOINTS), { recursive: true });
      await removeHalfWritten(join(path, CHECKPOINTS));
      return new RunFolder(path, settings, lock);
    } catch (error) {
      lock.close();
      throw new RunError(`${path}: ${says(error)}`);
    }
  }

  /** The newest checkpoint, if any. */
  async newest(): Promise<CheckpointEntry | undefined> {
    return (await listCheckpoints(this.path)).at(-1);
  }

  /**
   * Reads the newest checkpoint. Returns undefined if there is none.
   *
   * @throws {CheckpointError} if it is damaged
   * @throws {RunError} if its model, context or step does not fit the run
   */
  async load(): Promise<Checkpoint | undefined> {
    const entry = await this.newest();
    if (entry === undefined) return undefined;
    const { path, step } = entry;
    const checkpoint = await readCheckpoint(path);
    const { model, task, steps } = this.settings;
    if (!sameFields(checkpoint.config, model)) {
      throw new RunError(`${path}: its model is not the one of ${join(this.path, SETTINGS)}`);
    }
    if (checkpoint.context !== task.context) {
      throw new RunError(`${path}: its context is ${checkpoint.context}, wanted ${task.context}`);
    }
    if (checkpoint.step !== step || step > steps) {
      throw new RunError(
        `${path}: is of step ${checkpoint.step}, wanted ${step} as its name says, of ${steps}`,
      );
    }
    return checkpoint;
  }

  /**
   * Writes a checkpoint, then removes the oldest ones so that `keepCheckpoints` of them stay. Does
   * nothing if the folder has a checkpoint of the same step already.
   *
   * @returns the checkpoint's folder
   * @throws {CheckpointError} if the checkpoint cannot be written; then earlier ones stay
   */
  async save(checkpoint: Checkpoint): Promise<string> {
    const path = join(
      this.path,
      CHECKPOINTS,
      `step-${String(checkpoint.step).padStart(8, "0")}`,
    );
    const before = await listCheckpoints(this.path);
    if (before.some(({ step }) => step === checkpoint.step)) return path;
    await writeCheckpoint(path, checkpoint);
    const { keepCheckpoints } = this.settings.reporting;
    const old = before.slice(0, Math.max(0, before.length + 1 - keepCheckpoints));
    for (const { path } of old) await removeCheckpoint(path);
    return path;
  }

  /** Unlocks the folder for other processes. */
  [Symbol.dispose](): void {
    this.#lock.close();
  }
}

/**
 * Locks the folder's lock file. The system releases the lock when the process ends, even if it is
 * killed. The file is never removed: otherwise two processes could each lock a different file of
 * the same name.
 */
async function takeLock(folder: string): Promise<Deno.FsFile> {
  const path = join(folder, LOCK);
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { read: true, write: true, create: true });
  } catch (error) {
    throw new RunError(`${path}: ${says(error)}`);
  }
  try {
    if (!await tryLock(file)) {
      const owner = (await Deno.readTextFile(path)).trim();
      const who = /^\d{1,10}$/.test(owner) ? ` (process ${owner})` : "";
      throw new RunError(`${folder}: another process${who} trains in this folder`);
    }
    await file.truncate(0);
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    return file;
  } catch (error) {
    file.close();
    throw error instanceof RunError ? error : new RunError(`${path}: ${says(error)}`);
  }
}

/** Whether a folder holds a run. */
export async function runIsIn(path: string): Promise<boolean> {
  return await Deno.stat(join(path, SETTINGS)).then(() => true, () => false);
}

/**
 * Refuses a folder that a new run cannot use.
 *
 * @param path a new or empty folder
 * @throws {RunError} if it is not empty, or not a folder
 */
export async function checkNewFolder(path: string): Promise<void> {
  try {
    await refuseUnlessEmpty(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error instanceof RunError ? error : new RunError(`${path}: ${says(error)}`);
  }
}

async function refuseUnlessEmpty(path: string): Promise<void> {
  for await (const { name } of Deno.readDir(path)) {
    // A run that is killed at its start leaves these files.
    if (name === LOCK || name === CHECKPOINTS && await isEmpty(join(path, name))) continue;
    if (name.endsWith(".tmp") && name.startsWith(`.${SETTINGS}`)) continue;
    throw new RunError(
      await runIsIn(path)
        ? `${path}: holds a run already; go on with it by --resume=${path}, or choose another --out`
        : `${path}: is not empty, wanted a new folder`,
    );
  }
}

async function isEmpty(path: string): Promise<boolean> {
  for await (const _ of Deno.readDir(path)) return false;
  return true;
}

/** Whether two objects of JSON values have equal fields, in any order. */
export function sameFields(a: object, b: object): boolean {
  const sorted = (value: unknown): unknown =>
    typeof value !== "object" || value === null || Array.isArray(value)
      ? value
      : Object.entries(value).filter(([, each]) => each !== undefined)
        .sort(([x], [y]) => x < y ? -1 : 1).map(([name, each]) => [name, sorted(each)]);
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function says(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/ \(os error \d+\).*/, "").replaceAll(/\s+/g, " ");
}
