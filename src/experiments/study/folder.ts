/** A study's folder: one folder per run, and a file with the settings that all runs share. */
import { join } from "node:path";
import { fileError } from "../../files/file_error.ts";
import { makeFolder, writeTextFile } from "../../files/write.ts";
import { armName, type StudyArm } from "./arms.ts";
import { RECORD_FILE } from "./record.ts";
import { parseStudyRecord } from "./record_store.ts";
import { matchedSettings, studyRunSettings, type StudyScale } from "./settings.ts";

/** The settings file's name. */
export const STUDY_FILE = "study.json";

/** The settings that all arms share, without the corpus, whose path may differ between machines. */
function shared({ corpus: _, ...scale }: StudyScale): Record<string, number | undefined> {
  return scale;
}

/**
 * Creates a study's folder, or checks that an existing one has the same settings, so runs of
 * different lengths do not mix.
 *
 * @param folder the study's folder, which machines may share
 * @throws {FileError} if it cannot be created or read, or if its settings file is not JSON or
 *   belongs to another study
 */
export async function checkStudyFolder(folder: string, scale: StudyScale): Promise<void> {
  const path = join(folder, STUDY_FILE);
  const own = JSON.stringify(shared(scale));
  const before = await readIfThere(path);
  if (before === undefined) {
    await makeFolder(folder);
    return await writeTextFile(path, own + "\n");
  }
  let found: unknown;
  try {
    found = JSON.parse(before);
  } catch {
    throw fileError(path, "is not JSON; another --out is needed");
  }
  const names = Object.keys(shared(scale)) as (keyof typeof scale)[];
  for (const name of names) {
    const [had, wants] = [(found as Record<string, unknown> | null)?.[name], scale[name]];
    if (had !== wants) {
      throw fileError(
        folder,
        `holds a study with ${name} ${JSON.stringify(had)}, this one has ${wants}; ` +
          `give the same options, or another --out`,
      );
    }
  }
}

/**
 * Whether an arm's folder holds the record of the arm's complete run.
 *
 * @throws {FileError} if its record cannot be read or belongs to another run
 */
export async function isFinished(
  folder: string,
  { arm, scale }: { readonly arm: StudyArm; readonly scale: StudyScale },
): Promise<boolean> {
  const path = join(folder, RECORD_FILE);
  const text = await readIfThere(path);
  if (text === undefined) return false;
  const record = parseStudyRecord(text, path);
  if (record.status !== "complete") return false;
  const wanted = matchedSettings(studyRunSettings(arm, scale), undefined);
  const differing = Object.entries({ ...wanted, steps: scale.steps }).filter(([name, value]) =>
    JSON.stringify(name === "steps" ? record.steps : record.settings[name]) !==
      JSON.stringify(value)
  );
  if (armName(record.arm) !== armName(arm) || differing.length > 0) {
    throw fileError(
      path,
      `is of another run${
        differing.length === 0 ? "" : ` (${differing.map(([name]) => name).join(", ")} differs)`
      }; give the same options, or another --out`,
    );
  }
  return true;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw fileError(path, `cannot be read: ${(error as Error).message}`);
  }
}
