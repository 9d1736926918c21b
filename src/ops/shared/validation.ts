/** Checks that operators make before anything reaches the GPU. */
import { Gpu } from "../../gpu/gpu.ts";
import { namedRegions, refuseSharing } from "../../gpu/plan/sharing.ts";
import { Tensor } from "../../gpu/tensor.ts";
import { elementCount } from "../../reference/tensor.ts";
import {
  type Argument,
  checkNumber,
  checkShape as checkShapeAlone,
} from "../../reference/validation.ts";

export { spreadWorkgroups } from "../../gpu/workgroups.ts";
export { elementCount } from "../../reference/tensor.ts";
export { checkInteger, checkPositive, shapeText } from "../../reference/validation.ts";

/**
 * Throws unless `gpu` is an opened `Gpu` and `args` an object.
 *
 * @throws {TypeError} that names the operator
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
 * @throws {TypeError} that names the argument
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
 * Throws unless the argument is a live tensor of this GPU with this shape.
 *
 * @param options which argument it is, and the wanted shape, as for `checkShape` in src/reference
 * @returns the tensor's shape
 * @throws {TypeError} that names the argument and what is wrong with it
 */
export function checkShape(
  gpu: Gpu,
  tensor: Tensor,
  options: Parameters<typeof checkShapeAlone>[1],
): readonly number[] {
  checkTensor(gpu, tensor, options);
  return checkShapeAlone(tensor, options);
}

/**
 * Throws unless the value is a finite number in its range, and finite in float32 too.
 *
 * @param options which argument it is, and its range, as for `checkNumber` in src/reference
 * @throws {TypeError} if it is not a number
 * @throws {RangeError} if it is not finite, out of range, or too large for float32
 */
export function checkFinite(value: unknown, options: Parameters<typeof checkNumber>[1]): void {
  checkNumber(value, options);
  if (!Number.isFinite(Math.fround(value as number))) {
    const { operator, name } = options;
    throw new RangeError(`${operator}: ${name} is ${value}, wanted a number that float32 holds`);
  }
}

/**
 * If the CPU knows a tensor's numbers, throws unless each is an integer from 0 to `count` − 1.
 *
 * @throws {RangeError} that names the first number that is not
 */
export function checkIndices(
  { uploaded }: Tensor,
  { operator, name, count }: Argument & { readonly count: number },
): void {
  const wrong = uploaded?.findIndex((x) => !(Number.isInteger(x) && x >= 0 && x < count)) ?? -1;
  if (wrong < 0) return;
  throw new RangeError(
    `${operator}: ${name}[${wrong}] is ${uploaded?.[wrong]}, wanted an integer from 0 to ${
      count - 1
    }`,
  );
}

/**
 * Throws if a dispatch needs more workgroups along one dimension than the device runs.
 *
 * @throws {RangeError} that names the operator and the tensor that is too long
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

/**
 * Makes tensors of these shapes: all of them, or none if one would be too large.
 *
 * @throws {RangeError} if one is larger than the adapter allows
 */
export function emptyTensors<Name extends string>(
  gpu: Gpu,
  operator: string,
  shapes: Readonly<Record<Name, readonly number[]>>,
): Record<Name, Tensor> {
  return outputTensors(gpu, operator, { shapes, given: {}, inputs: {} });
}

/**
 * Returns the tensors that a call writes: those in `given`, and new ones for all other shapes. The
 * given tensors must have their shapes and share no memory with each other or with `inputs`.
 *
 * @throws {TypeError} if a given tensor is not a live tensor of its shape, or shares memory
 * @throws {RangeError} if a new tensor would be larger than the adapter allows
 */
export function outputTensors<Name extends string>(
  gpu: Gpu,
  operator: string,
  { shapes, given, inputs }: {
    readonly shapes: Readonly<Record<Name, readonly number[]>>;
    readonly given: { readonly [Key in NoInfer<Name>]?: Tensor | undefined };
    /** The tensors that the call reads, by name; lists and objects of tensors are allowed too. */
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
