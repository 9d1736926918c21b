/** Makes a run's task from its settings, with the user's text if there is one. */
import { BigramBackcopy } from "../tasks/bigram_backcopy.ts";
import { countedBigramTable, syntheticBigramTable } from "../tasks/bigram_table.ts";
import { sha256 } from "../../sha256.ts";
import type { RunSettings, TaskSettings } from "./settings.ts";
import type { Task } from "../tasks/task.ts";
import { readCorpus, TextCorpus } from "../tasks/text_corpus.ts";

/** A task and its text. */
export interface RunTask {
  readonly task: Task;
  /** SHA-256 of the text, in hexadecimal. */
  readonly corpusDigest: string | undefined;
  /** What was skipped, in lines. */
  readonly notes: readonly string[];
}

/**
 * Makes a run's task.
 *
 * @throws {CorpusError} if the text cannot be read or used
 * @throws {RangeError} for impossible settings
 */
export async function openTask(
  { task, seed }: Pick<RunSettings, "task" | "seed">,
): Promise<RunTask> {
  const notes: string[] = [];
  const bytes = task.corpus === undefined
    ? undefined
    : await readCorpus(task.corpus, (line) => notes.push(line));
  const corpusDigest = bytes === undefined ? undefined : await sha256(bytes);
  return { task: makeTask(task, { seed, bytes }), corpusDigest, notes };
}

function makeTask(
  settings: TaskSettings,
  { seed, bytes }: { readonly seed: number; readonly bytes: Uint8Array | undefined },
): Task {
  const { context } = settings;
  if (settings.name === "text") {
    const { firstToken } = settings;
    return new TextCorpus({ bytes: bytes ?? new Uint8Array(), context, seed, firstToken });
  }
  const { characters, concentration, tableSeed, triggers } = settings;
  const table = bytes === undefined
    ? syntheticBigramTable({ characters, concentration, seed: tableSeed })
    : countedBigramTable({ text: new TextDecoder().decode(bytes), characters });
  return new BigramBackcopy({ table, context, triggers, seed });
}
