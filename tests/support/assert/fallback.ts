/**
 * The part of `@std/assert` that the tests use, over `node:assert/strict`, with the same
 * signatures.
 */
import strict from "node:assert/strict";

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

export function assert(condition: unknown, message = "Expected a truthy value"): asserts condition {
  strict.ok(condition, message);
}

export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  strict.deepStrictEqual(actual, expected, message);
}

export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  strict.notDeepStrictEqual(actual, expected, message);
}

export function assertStringIncludes(text: string, part: string, message?: string): void {
  strict.ok(
    text.includes(part),
    message ?? `Expected ${JSON.stringify(text)} to contain "${part}"`,
  );
}

function checkError<E extends Error>(
  error: unknown,
  errorClass: ErrorClass<E>,
  messageIncludes: string,
): E {
  strict.ok(
    error instanceof errorClass,
    `Expected ${errorClass.name}, got ${error instanceof Error ? error.stack : String(error)}`,
  );
  assertStringIncludes(error.message, messageIncludes);
  return error;
}

/**
 * Throws unless `run` throws an `errorClass` whose message contains `messageIncludes`. Returns that
 * error.
 */
export function assertThrows<E extends Error>(
  run: () => unknown,
  errorClass: ErrorClass<E>,
  messageIncludes = "",
): E {
  try {
    run();
  } catch (error) {
    return checkError(error, errorClass, messageIncludes);
  }
  throw new strict.AssertionError({ message: `Expected ${errorClass.name}, nothing was thrown` });
}

/** Rejects unless `run` rejects with an `errorClass` whose message contains `messageIncludes`. */
export async function assertRejects<E extends Error>(
  run: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  messageIncludes = "",
): Promise<E> {
  try {
    await run();
  } catch (error) {
    return checkError(error, errorClass, messageIncludes);
  }
  throw new strict.AssertionError({ message: `Expected ${errorClass.name}, nothing was rejected` });
}
