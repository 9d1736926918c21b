/**
 * Thrown if a checkpoint cannot be used or written. The message is one line that names the file.
 */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
}
