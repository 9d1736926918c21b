/** A run cannot be started, resumed, read or written; the message is one line. */
export class RunError extends Error {
  override readonly name: string = "RunError";
}

/** The place of the first NaN or infinity. */
export interface NonFiniteDetails {
  /** The step, counted from 1. */
  readonly step: number;
  /** The tensor that holds the NaN or infinity. */
  readonly tensor: string;
  /** The newest checkpoint before that step; undefined if there is none. */
  readonly checkpoint: string | undefined;
}

/** The loss or a gradient of a run is no longer a finite number. */
export class NonFiniteError extends RunError {
  override readonly name = "NonFiniteError";
  readonly details: NonFiniteDetails;

  /** @param details the step, the tensor and the last good checkpoint */
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
