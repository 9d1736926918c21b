/** Calls the functions of an operator's file. Each error names the function and its lengths. */
import type { Cost } from "../../gpu/plan.ts";
import { type Dimensions, lengthsText, type PassName } from "../workloads/operator.ts";
import type { CustomPass } from "./description.ts";
import {
  checkedInputs,
  checkedOutputs,
  describe,
  type HostTensor,
  isRecord,
  tensorSource,
} from "./tensors.ts";

/** What error messages say of a call: its pass and its lengths. */
export interface Call {
  readonly pass: PassName;
  readonly dimensions: Dimensions;
}

export function labelOf(name: string, { pass, dimensions }: Call): string {
  return `${pass === "backward" ? "backward." : ""}${name} at ${lengthsText(dimensions)}`;
}

/** Calls a function of the file. If it throws or returns a promise, the error names `label`. */
export function attempt<Result>(label: string, run: () => Result): Result {
  let result: Result;
  try {
    result = run();
  } catch (error) {
    throw new RangeError(
      `${label} threw ${error instanceof Error ? `${error.name}: ${error.message}` : error}`,
      { cause: error },
    );
  }
  if (result instanceof Promise) {
    result.catch(() => {}); // Its own error does not matter.
    throw new TypeError(`${label} returned a promise, wanted its result: no async function`);
  }
  return result;
}

/**
 * Computes the cost of a call.
 *
 * @throws {TypeError} if the result is not a cost
 * @throws {RangeError} if the file's function throws
 */
export function costOf({ cost }: CustomPass, call: Call): Cost {
  const label = labelOf("cost", call);
  const made: unknown = attempt(label, () => cost(call.dimensions));
  const { flops, bytes } = isRecord(made) ? made : {};
  const valid = [flops, bytes].every((count) =>
    typeof count === "number" && Number.isFinite(count) && count >= 0
  );
  if (!valid || flops === 0 && bytes === 0) {
    throw new TypeError(
      `${label} is ${describe(made)}, wanted { flops, bytes }, numbers from 0 on and not both 0`,
    );
  }
  return { flops: flops as number, bytes: bytes as number };
}

/**
 * Draws the inputs of a call.
 *
 * @returns the inputs by name, rounded to float32
 * @throws {TypeError} if the result is not tensors by name
 * @throws {RangeError} if the file's function throws
 */
export function drawInputs(
  { inputs }: CustomPass,
  call: Call & { readonly seed: number },
): Record<string, HostTensor> {
  const label = labelOf("inputs", call);
  const made: unknown = attempt(label, () => inputs(call.dimensions, tensorSource(call.seed)));
  return checkedInputs(made, label);
}

/**
 * Computes the outputs of a call in float64.
 *
 * @throws {TypeError} if the result is not an object with a list of finite numbers for each output
 * @throws {RangeError} if the file's function throws
 */
export function runTwin(
  { twin }: CustomPass,
  inputs: Readonly<Record<string, HostTensor>>,
  call: Call,
): Record<string, ArrayLike<number>> {
  const label = labelOf("twin", call);
  return checkedOutputs(attempt(label, () => twin(inputs, call.dimensions)), label);
}
