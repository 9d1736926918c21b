/** Reads and writes result files on disk. */
import { readText } from "../../files/read.ts";
import { createTextFile, writeTextFile } from "../../files/write.ts";
import type { ResultFile } from "../result_file.ts";
import { formatResultFile, parseResultFile } from "./parse.ts";

/**
 * Reads a result file.
 *
 * @param path a regular file or a pipe
 * @returns its content, validated
 * @throws {FileError} if it cannot be read, is larger than 16 MiB, or is not a valid result file
 */
export async function readResultFile(path: string): Promise<ResultFile> {
  return parseResultFile(await readText(path), path);
}

/**
 * Writes a result file, and replaces an older file with that name in a single step. If writing
 * fails, the older file stays, and no partly written file remains.
 *
 * @param path the file, in an existing folder
 * @param file the content
 * @throws {FileError} if the content breaks the schema, or the file cannot be written
 */
export async function writeResultFile(path: string, file: ResultFile): Promise<void> {
  await writeTextFile(path, formatResultFile(file, path));
}

/**
 * Writes a new result file.
 *
 * @param path the file, in an existing folder
 * @param file the content
 * @returns true if it wrote the file; false if a file with that name exists, which stays unchanged
 * @throws {FileError} if the content breaks the schema, or the file cannot be written
 */
export async function createResultFile(path: string, file: ResultFile): Promise<boolean> {
  return await createTextFile(path, formatResultFile(file, path));
}
