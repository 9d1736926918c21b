/** Reads result files that another process may not have written yet. */
import type { ResultFile } from "../../../src/measure/result_file.ts";
import { parseResultFile } from "../../../src/measure/result_file/parse.ts";

/** Reads a result file, which must be valid. Returns undefined if there is no file. */
export async function readIfThere(path: string): Promise<ResultFile | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return parseResultFile(text, path);
}
