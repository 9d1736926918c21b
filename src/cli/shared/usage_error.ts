/** The error of a wrong command line. */

/** A mistake in the command line; the message is one line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
