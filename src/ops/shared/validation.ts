/** The checks that operators make before anything reaches the GPU. */
import { Gpu } from "../../gpu/gpu.ts";
import { namedRegions, refuseSharing } from "../../gpu/plan/sharing.ts";
import { Tensor } from "../../gpu/tensor.ts";

/** Where an argument stands, for messages. */
export interface Argument {
  readonly operator: string;
  readonly name: string;
}

/** A shape as messages write it. */
export function shapeText(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}

/**
 * Throws unless `gpu` is an opened `Gpu` and `args` an object.
 *
 * @throws {TypeError} naming the operator
 */
export function checkCall(operator: string, gpu: unknown, args: unknown): void {
  if (!(gpu instanceof Gpu)) {
    throw new TypeError(`${operator}: gpu is ${gpu}, wanted an opened Gpu`);
  }
  if (gpu.disposed) throw new TypeError(`${operator}: gpu has been disposed of`);
  if (typeof args !== "object" || args === null) {
    throw new TypeError(`${operator}: the arguments are ${args}, wanted an object of tensors`);
  }
}

/**
 * Throws unless the argument is a live tensor of this GPU.
 *
 * @throws {TypeError} naming the argument
 */
export function checkTensor(gpu: Gpu, tensor: unknown, { operator, name }: Argument): void {
  if (!(tensor instanceof Tensor)) {
    const given = tensor === null ? "null" : typeof tensor;
    throw new TypeError(`${operator}: ${name} is ${given}, wanted a Tensor`);
  }
  if (!tensor.belongsTo(gpu)) {
    throw new TypeError(`${operator}: ${name} belongs to another Gpu`);
  }
  if (tensor.disposed) throw new TypeError(`${operator}: ${name} has been disposed of`);
}

/**
 * Throws unless the argument is a live tensor of this GPU with this shape. A string in `wanted` stands for any
 * length and is its name in the message.
 *
 * @throws {TypeError} naming the argument, its shape and the wanted one
 */
export function checkShape(
  gpu: Gpu,
  tensor: Tensor,
  { operator, name, wanted }: Argument & { readonly wanted: readonly (number | string)[] },
): void {
  checkTensor(gpu, tensor, { operator, name });
  const fits = tensor.shape.length === wanted.length &&
    wanted.every((size, i) => typeof size === "string" || size === tensor.shape[i]);
  if (!fits) {
    throw new TypeError(
      `${operator}: ${name} has shape ${shapeText(tensor.shape)}, wanted ${shapeText(wanted)}`,
    );
  }
}

/**
 * Throws unless the value is a finite number, in float32 as well.
 *
 * @throws {TypeError} if it is not a number
 * @throws {RangeError} if it is not finite, or too large for float32
 */
export function checkFinite(value: unknown, { operator, name }: Argument): void {
  if (typeof value !== "number") {
    throw new TypeError(`${operator}: ${name} is ${typeof value}, wanted a number`);
  }
  if (!Number.isFinite(value)) {
    throw new RangeError(`${operator}: ${name} is ${value}, wanted a finite number`);
  }
  if (!Number.isFinite(Math.fround(value))) {
    throw new RangeError(`${operator}: ${name} is ${value}, wanted a number that float32 holds`);
  }
}

/**
 * Throws unless the value is an integer from `minimum` to `maximum`.
 *
 * @throws {TypeError} if it is not a number
 * @throws {RangeError} if it is not such an integer
 */
export function checkInteger(
  value: unknown,
  { operator, name, minimum, maximum }: Argument & {
    readonly minimum: number;
    readonly maximum: number;
  },
): void {
  if (typeof value !== "number") {
    throw new TypeError(`${operator}: ${name} is ${typeof value}, wanted a number`);
  }
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new RangeError(
      `${operator}: ${name} is ${value}, wanted an integer from ${minimum} to ${maximum}`,
    );
  }
}

/**
 * Throws if a dispatch needs more workgroups along one dimension than the device runs.
 *
 * @throws {RangeError} naming the operator and what is too long
 */
export function checkWorkgroups(
  gpu: Gpu,
  count: number,
  { operator, name }: Argument,
): void {
  const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
  if (count > limit) {
    throw new RangeError(
      `${operator}: ${name} needs ${count} workgroups, this adapter runs ${limit}`,
    );
  }
}

export { spreadWorkgroups } from "../../gpu/workgroups.ts";

/**
 * Makes tensors of these shapes: all of them, or none and a RangeError.
 *
 * @throws {RangeError} if one is larger than the adapter allows
 */
export function emptyTensors<Name extends string>(
  gpu: Gpu,
  operator: string,
  shapes: Readonly<Record<Name, readonly number[]>>,
): Record<Name, Tensor> {
  const entries = Object.entries(shapes) as [Name, readonly number[]][];
  for (const [, shape] of entries) gpu.checkSize(operator, 4 * elementCount(shape));
  return Object.fromEntries(entries.map(([name, shape]) => [name, gpu.empty(shape)])) as Record<
    Name,
    Tensor
  >;
}

/**
 * The tensors that a call writes: those that its caller gave, if they have the shapes and share no memory with each
 * other or with `inputs`, and new ones for the others.
 *
 * @throws {TypeError} if a given one has another shape, or shares memory
 * @throws {RangeError} if a new one is larger than the adapter allows
 */
export function outputTensors<Name extends string>(
  gpu: Gpu,
  operator: string,
  { shapes, given, inputs }: {
    readonly shapes: Readonly<Record<Name, readonly number[]>>;
    readonly given: { readonly [Key in NoInfer<Name>]?: Tensor | undefined };
    /** What the call reads: tensors by name, lists and objects of them. */
    readonly inputs: Readonly<Record<string, unknown>>;
  },
): Record<Name, Tensor> {
  const entries = Object.entries(shapes) as [Name, readonly number[]][];
  for (const [name, wanted] of entries) {
    const tensor = given[name];
    if (tensor === undefined) gpu.checkSize(operator, 4 * elementCount(wanted));
    else checkShape(gpu, tensor, { operator, name, wanted });
  }
  const written = Object.fromEntries(entries.map(([name]) => [name, given[name]]));
  refuseSharing(operator, namedRegions({ ...inputs, ...written }), ({ name }) => name in written);
  return Object.fromEntries(
    entries.map(([name, shape]) => [name, given[name] ?? gpu.empty(shape)]),
  ) as Record<Name, Tensor>;
}

/** The number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
