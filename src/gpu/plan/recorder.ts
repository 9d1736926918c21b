/** Records dispatches, and copies between them, into one command encoder. */

/** Opens a compute pass when a dispatch needs one, and ends it before a copy. */
export class Recorder {
  readonly #encoder: GPUCommandEncoder;
  #pass: GPUComputePassEncoder | undefined;

  /** @param encoder a new encoder */
  constructor(encoder: GPUCommandEncoder) {
    this.#encoder = encoder;
  }

  /** The open compute pass. */
  get pass(): GPUComputePassEncoder {
    return this.#pass ??= this.#encoder.beginComputePass();
  }

  /** The encoder, outside a pass. */
  get encoder(): GPUCommandEncoder {
    this.#pass?.end();
    this.#pass = undefined;
    return this.#encoder;
  }
}
