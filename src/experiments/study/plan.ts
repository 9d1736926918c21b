/** The study's plan: which runs there will be, so the report can name missing ones. */
import { join } from "node:path";
import { fileError } from "../../files/file_error.ts";
import { parseUntrustedJson } from "../../files/untrusted_json.ts";
import { writeTextFile } from "../../files/write.ts";
import { sha256 } from "../../sha256.ts";

/** The version of the plan's form. */
const PLAN_SCHEMA = "gradsink-study-plan/1";

const MOST_ARMS = 100_000;

/** Whether this is a plan's file name. */
export function isPlanFile(name: string): boolean {
  return /^plan-[0-9a-f]{12}\.json$/.test(name);
}

/**
 * Adds a plan to the folder. The file's name depends on its content, so machines that share the
 * folder write the same file. A later call with more seeds adds a second file.
 *
 * @param arms the names of all planned runs, including those of other machines
 */
export async function savePlan(folder: string, arms: readonly string[]): Promise<void> {
  const text = JSON.stringify({ schema: PLAN_SCHEMA, arms: [...arms].sort() }) + "\n";
  const name = (await sha256(text)).slice(0, 12);
  await writeTextFile(join(folder, `plan-${name}.json`), text);
}

/**
 * Reads a plan's arms from its text, which may come from a stranger.
 *
 * @param name the file's name, for messages
 * @throws {FileError} if it is not a plan
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
