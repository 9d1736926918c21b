/**
 * Which runs a study is to have: written when the study begins, so that its report can name those
 * that never came.
 */
import { join } from "node:path";
import { fileError } from "../../files/file_error.ts";
import { parseUntrustedJson } from "../../files/untrusted_json.ts";
import { writeTextFile } from "../../files/write.ts";
import { sha256 } from "../../sha256.ts";

/** The version of the form. */
const PLAN_SCHEMA = "gradsink-study-plan/1";

const MOST_ARMS = 100_000;

/** Whether a file of a study's folder is a plan, by its name. */
export function isPlanFile(name: string): boolean {
  return /^plan-[0-9a-f]{12}\.json$/.test(name);
}

/**
 * Writes a plan beside those that are there. Its name follows from its content: machines that share
 * a folder write the same file, and a later call with more seeds adds one.
 *
 * @param folder of the study; it exists
 * @param arms names of all runs planned, those of other machines as well
 */
export async function savePlan(folder: string, arms: readonly string[]): Promise<void> {
  const text = JSON.stringify({ schema: PLAN_SCHEMA, arms: [...arms].sort() }) + "\n";
  const name = (await sha256(text)).slice(0, 12);
  await writeTextFile(join(folder, `plan-${name}.json`), text);
}

/**
 * Reads a plan's text, trusting nothing in it.
 *
 * @param text the file's content
 * @param name the file's name, for messages
 * @returns the arms' names
 * @throws {FileError} if it is not a plan; one line
 */
export function parsePlan(text: string, name: string): string[] {
  const value = parseUntrustedJson(text, name) as { schema?: unknown; arms?: unknown } | null;
  const arms = value?.arms;
  const fits = value?.schema === PLAN_SCHEMA && Array.isArray(arms) && arms.length <= MOST_ARMS &&
    arms.every((arm) => typeof arm === "string" && /^[\w.-]{1,100}$/.test(arm));
  if (!fits) {
    throw fileError(name, `is no plan of a study: wanted ${PLAN_SCHEMA} with names of runs`);
  }
  return arms;
}
