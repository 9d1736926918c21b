/** Where a bench's results go: a file that no other run uses. */
import { claimFile } from "../../files/claim.ts";
import { checkWritable } from "../../files/write.ts";
import { resultFileName } from "../../measure/bench_run.ts";
import type { ResultFile } from "../../measure/result_file.ts";
import { createResultFile } from "../../measure/result_file/store.ts";
import { UsageError } from "../shared/arguments.ts";
import { besidePath } from "./joint_run.ts";
import type { BenchRequest } from "./options.ts";

const RESULTS = "results";

/**
 * Refuses, before anything is measured, a file that cannot be written, and a file of `--out` that
 * exists already.
 *
 * @throws {UsageError} if the file of `--out` exists
 * @throws {FileError} if a file cannot be written
 */
export async function checkOutput({ out, resume, beside }: BenchRequest): Promise<void> {
  const path = resume ?? out;
  if (path === undefined) {
    return await checkWritable(`${RESULTS}/new.json`);
  }
  for (const each of beside === undefined ? [path] : [path, besidePath(path)]) {
    if (out !== undefined && await exists(each)) {
      throw new UsageError(
        `--out: ${each} exists already; choose another name${
          beside === undefined ? ", or --resume it" : ""
        }`,
      );
    }
    await checkWritable(each);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await Deno.lstat(path)).isFile;
  } catch {
    return false; // checkWritable reports other obstacles
  }
}

/** A result file that this run created. */
export interface CreatedOutput extends Disposable {
  readonly path: string;
}

/**
 * Creates the file before anything is measured, so no other run can take its name or resume it.
 *
 * @param file the file without measurements
 * @returns the file, claimed until it is disposed of
 * @throws {FileError} if it cannot be written
 * @throws {Error} if another run created or resumed the file meanwhile
 */
export async function createOutput(
  { out }: BenchRequest,
  file: ResultFile,
): Promise<CreatedOutput> {
  if (out !== undefined && !await createResultFile(out, file)) {
    throw new Error(`--out: ${out} exists already: another run created it meanwhile`);
  }
  const path = out ?? await createUnnamed(file);
  const claim = await claimFile(path);
  if (claim === undefined) throw new Error(`${path}: another run resumed it as it was created`);
  return { path, [Symbol.dispose]: () => claim[Symbol.dispose]() };
}

async function createUnnamed(file: ResultFile): Promise<string> {
  for (let number = 1;; number++) {
    const ending = number === 1 ? "" : `-${number}`;
    const path = `${RESULTS}/${resultFileName(file)}${ending}.json`;
    if (!await exists(besidePath(path)) && await createResultFile(path, file)) return path;
  }
}
