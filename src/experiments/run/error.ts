/** The error if a run cannot be started, resumed, read or written. Its message is one line. */
export class RunError extends Error {
  override readonly name: string = "RunError";
}

/** Where the first NaN or infinity was found. */
export interface NonFiniteDetails {
  /** The step, counted from 1; 0 before training. */
  readonly step: number;
  /** The tensor that holds the NaN or infinity, in words. */
  readonly tensor: string;
  /** The newest checkpoint, if any. */
  readonly checkpoint: string | undefined;
}

/** The error if a run computes a NaN or infinity. */
export class NonFiniteError extends RunError {
  override readonly name = "NonFiniteError";
  readonly details: NonFiniteDetails;

  constructor(details: NonFiniteDetails) {
    const { step, tensor, checkpoint } = details;
    super(
      `step ${step}: ${tensor}; ${
        checkpoint === undefined
          ? "there is no checkpoint before it"
          : `the last good checkpoint is ${checkpoint}`
      }`,
    );
    this.details = details;
  }
}
