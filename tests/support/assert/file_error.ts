/** Reads the message of a file's error. */
import { FileError } from "../../../src/files/file_error.ts";
import { assert, assertRejects } from "./assert.ts";

/** The message of the {@linkcode FileError} with which a promise is rejected. It has one line. */
export async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => promise, FileError) as Error;
  assert(!error.message.includes("\n"), "one line");
  return error.message;
}
