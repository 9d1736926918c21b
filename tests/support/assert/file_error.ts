import { FileError } from "../../../src/files/file_error.ts";
import { assert, assertRejects } from "./assert.ts";

/** The message of the {@linkcode FileError} that `promise` must reject with: a single line. */
export async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => promise, FileError) as Error;
  assert(!error.message.includes("\n"), "one line");
  return error.message;
}
