/**
 * Keeps weights on the GPU, as far as memory allows: a later pass copies them on the GPU instead of
 * reading and uploading them again.
 */
import { MatrixImage } from "../../gpu/plan/matrix_image.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { RightOperand } from "../../ops/matmul/by_image.ts";
import type { Workspace } from "../workspace.ts";

/**
 * Keeps copies of the operands' contents. Each copy has a key, and lies in a place: memory for one
 * copy of all operands.
 */
export class KeptWeights<Key> {
  readonly #workspace: Workspace;
  readonly #operands: readonly RightOperand[];
  /** The places without contents. */
  readonly #free: (readonly RightOperand[])[] = [];
  readonly #kept = new Map<Key, readonly RightOperand[]>();

  /**
   * @param workspace owns the places
   * @param operands the tensors and images that kernels read
   */
  constructor(workspace: Workspace, operands: readonly RightOperand[]) {
    this.#workspace = workspace;
    this.#operands = operands;
  }

  /**
   * Allocates at most `most` places, of at most `bytes` bytes together.
   *
   * @returns the bytes that the places take
   */
  allocate(most: number, bytes: number): number {
    const each = this.#operands.reduce((sum, operand) => sum + bytesOf(operand), 0);
    const count = Math.min(most, Math.floor(Math.max(0, bytes) / each));
    for (let i = 0; i < count; i++) this.#free.push(this.#operands.map((one) => this.#like(one)));
    return count * each;
  }

  has(key: Key): boolean {
    return this.#kept.has(key);
  }

  /** Enqueues copying the operands' contents to a free place, if there is one. */
  keep(key: Key): void {
    const place = this.#free.pop();
    if (place === undefined) return;
    this.#copy(this.#operands, place);
    this.#kept.set(key, place);
  }

  /**
   * Enqueues copying the contents kept under `key` back to the operands.
   *
   * @returns false if no contents are kept under `key`
   */
  restore(key: Key): boolean {
    const place = this.#kept.get(key);
    if (place === undefined) return false;
    this.#copy(place, this.#operands);
    return true;
  }

  #like(operand: RightOperand): RightOperand {
    const { gpu } = this.#workspace;
    return operand instanceof MatrixImage
      ? this.#workspace.keep(new MatrixImage(gpu, operand.shape, operand.layout))
      : this.#workspace.keep(gpu.empty(operand.shape));
  }

  #copy(from: readonly RightOperand[], to: readonly RightOperand[]): void {
    const { gpu } = this.#workspace;
    gpu.guard("StreamedLlama", () => {
      const encoder = gpu.device.createCommandEncoder();
      for (const [i, source] of from.entries()) {
        const target = to[i]!;
        if (source instanceof MatrixImage) source.copyTo(encoder, target as MatrixImage);
        else {
          const { buffer } = target as Tensor;
          encoder.copyBufferToBuffer(source.buffer, 0, buffer, 0, bytesOf(source));
        }
      }
      gpu.device.queue.submit([encoder.finish()]);
    });
  }
}

function bytesOf(operand: RightOperand): number {
  return operand instanceof MatrixImage ? operand.bytes : 4 * operand.length;
}
