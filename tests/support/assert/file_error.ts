import { FileError } from "../../../src/files/file_error.ts";
import { assert, assertRejects } from "./assert.ts";

/** The message, of one line, of the {@linkcode FileError} with which `promise` must reject. */
export async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => promise, FileError) as Error;
  assert(!error.message.includes("\n"), "one line");
  return error.message;
}
