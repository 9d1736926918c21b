/**
 * A checkpoint that cannot be used, or cannot be written; the message is one line that names the
 * file.
 */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
}
