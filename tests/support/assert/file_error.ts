import { FileError } from "../../../src/files/file_error.ts";
import { assert, assertRejects } from "./assert.ts";

/**
 * Asserts that a promise rejects with a {@linkcode FileError} whose message is one line. Returns
 * the message.
 */
export async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => promise, FileError) as Error;
  assert(!error.message.includes("\n"), "one line");
  return error.message;
}
