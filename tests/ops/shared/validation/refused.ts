/** The operators under test, valid arguments for them, and a check that a call is refused. */
import {
  attentionBackward,
  attentionForward,
  attentionSinkStatistics,
  type Gpu,
  rmsNormBackward,
  rmsNormForward,
  type Tensor,
  vScaleBackward,
  vScaleForward,
} from "../../../../mod.ts";
import { assert, assertEquals, assertStringIncludes } from "../../../support/assert/assert.ts";

export type Args = Readonly<Record<string, unknown>>;
type Operator = (gpu: Gpu, args: never) => object;

export const operators: Readonly<Record<string, Operator>> = {
  attentionForward,
  attentionBackward,
  attentionSinkStatistics,
  rmsNormForward,
  rmsNormBackward,
  vScaleForward,
  vScaleBackward,
};

/** The shapes of every operator's tensor arguments. */
export const shapes: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
  attentionForward: { query: [2, 4, 3, 8], key: [2, 2, 3, 8], value: [2, 2, 3, 8] },
  attentionBackward: {
    query: [2, 4, 3, 8],
    key: [2, 2, 3, 8],
    value: [2, 2, 3, 8],
    output: [2, 4, 3, 8],
    logSumExp: [2, 4, 3],
    outputGradient: [2, 4, 3, 8],
  },
  attentionSinkStatistics: { query: [2, 4, 3, 8], key: [2, 2, 3, 8], logSumExp: [2, 4, 3] },
  rmsNormForward: { input: [2, 3, 5], gain: [5] },
  rmsNormBackward: { input: [2, 3, 5], gain: [5], inverseRms: [2, 3], outputGradient: [2, 3, 5] },
  vScaleForward: { value: [2, 2, 3, 5], constant: [2] },
  vScaleBackward: { value: [2, 2, 3, 5], constant: [2], scaledValueGradient: [2, 2, 3, 5] },
};

export function make(gpu: Gpu, shape: readonly number[]): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return gpu.tensor(new Float32Array(length).fill(0.5), shape);
}

/** Makes tensor arguments that an operator accepts. */
export function makeAll(gpu: Gpu, operator: string): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(shapes[operator]!).map(([name, shape]) => [name, make(gpu, shape)]),
  );
}

/** Disposes of all tensors among the values. */
export function free(args: Args): void {
  for (const value of Object.values(args)) (value as Partial<Tensor>)?.dispose?.();
}

/** Checks that an operator refuses a call with these words, makes nothing and enqueues nothing. */
export function refused(
  gpu: Gpu,
  operator: string,
  { args, error, words, ...instead }: {
    readonly args: unknown;
    readonly error: typeof TypeError | typeof RangeError;
    readonly words: readonly string[];
    /** Passed in place of the Gpu. */
    readonly on?: unknown;
  },
): void {
  const on = "on" in instead ? instead.on : gpu;
  const before = gpu.memory;
  const { queue } = gpu.device;
  const { submit, writeBuffer } = queue;
  let enqueued = 0;
  queue.submit = queue.writeBuffer = () => void enqueued++;
  let thrown: unknown;
  try {
    operators[operator]!(on as Gpu, args as never);
  } catch (caught) {
    thrown = caught;
  } finally {
    queue.submit = submit;
    queue.writeBuffer = writeBuffer;
  }
  const call = `${operator}, wanted ${error.name} with ${words.join(" … ")}`;
  assert(thrown instanceof Error, `${call}: nothing was thrown`);
  assertEquals(thrown.constructor, error, `${call}: ${thrown.stack}`);
  for (const word of [`${operator}: `, ...words]) assertStringIncludes(thrown.message, word);
  assert(!thrown.message.endsWith("."), thrown.message);
  assertEquals(gpu.memory, before, `${call}: buffers were left`);
  assertEquals(enqueued, 0, `${call}: something was enqueued`);
}
