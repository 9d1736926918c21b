/** Checks a plan's dispatches before anything is created for them. */
import type { BufferOwner } from "../owner.ts";
import type { PreparedKernel } from "../pipelines.ts";
import { MatrixImage } from "./matrix_image.ts";
import { Tensor } from "../tensor.ts";
import { type Bound, type Dispatch, type ImageCopy, isCopy, type PlanOptions } from "./dispatch.ts";
import { checkBindings } from "./kernel_bindings.ts";
import { commonBytes, type NamedRegion, namedRegions, refuseSharing, regionOf } from "./sharing.ts";
import type { Binding, BoundDispatch } from "./staging.ts";

/** A bound buffer or image, named after the operator's argument or the kernel's variable. */
export interface NamedBinding extends Binding {
  readonly bound: Bound;
  readonly name: string;
}

/** A dispatch that passed every check. */
export interface CheckedDispatch extends Omit<BoundDispatch, "resources"> {
  /** The bindings from 1 on. */
  readonly bindings: readonly NamedBinding[];
}

/**
 * Checks that each dispatch gives the buffers and images that its kernel declares, and that written
 * buffers share no memory with others.
 *
 * @param gpu the GPU to plan for
 * @param options the plan's options
 * @throws {TypeError} if an option is missing, a kernel lacks a declaration that its `constants`
 *   name, a dispatch's buffers differ from its kernel's bindings, a written buffer shares memory
 *   with another one, or a tensor has been disposed of
 * @throws {RangeError} if a dispatch has more workgroups in a dimension than the adapter allows
 */
export function checkDispatches(
  gpu: BufferOwner,
  options: PlanOptions,
): (CheckedDispatch | ImageCopy)[] {
  checkOptions(options);
  const { operator } = options;
  const named = namedRegions(options.tensors ?? {});
  const all = options.dispatches.map((dispatch): CheckedDispatch | ImageCopy => {
    if (isCopy(dispatch)) return dispatch;
    const { parameters, buffers, workgroups } = dispatch;
    const kernel = gpu.pipelines.prepare(dispatch.kernel);
    const label = `${operator}: ${kernel.parts.at(-1)?.file ?? "the kernel"}`;
    if (kernel.bindings !== undefined) {
      checkBindings(label, kernel.bindings, {
        parameters: parameters.length,
        images: buffers.map((bound) => bound instanceof MatrixImage),
      });
    }
    checkWorkgroupCounts(gpu, label, workgroups);
    return { kernel, parameters, workgroups, bindings: bindAll(buffers, { named, kernel }) };
  });
  const checked = all.flatMap((one) => isCopy(one) ? [] : [one]);
  const bound = checked.flatMap(({ bindings }) => bindings.filter(inBuffer));
  refuseSharing(
    operator,
    named,
    ({ region }) => bound.some((other) => other.written && commonBytes(other.region, region) > 0),
  );
  for (const { bindings } of checked) {
    refuseSharing(operator, bindings.filter(inBuffer), ({ written }) => written);
  }
  return all;
}

function inBuffer(binding: NamedBinding): binding is NamedBinding & NamedRegion {
  return binding.region !== undefined;
}

/** Checks the options' types: callers' own files may never have been type-checked. */
function checkOptions({ operator, cost, dispatches }: PlanOptions): void {
  const refuse = (what: string, wanted: string): never => {
    throw new TypeError(`${operator}: new Plan has no ${what}, wanted ${wanted}`);
  };
  const { flops, bytes } = cost ?? {};
  if (![flops, bytes].every((count) => typeof count === "number" && count >= 0)) {
    refuse("valid cost", "{ flops, bytes }, numbers from 0 on");
  }
  const list = (what: string, value: unknown, items: string): void => {
    if (!Array.isArray(value)) refuse(`list of ${what}`, items);
  };
  list("dispatches", dispatches, "one dispatch at least");
  for (const dispatch of dispatches) {
    if (isCopy(dispatch)) continue;
    const { kernel, parameters, buffers, workgroups } = dispatch;
    list("kernel.parts in a dispatch", kernel?.parts, "[{ file, source }]");
    list("parameters in a dispatch", parameters, "[{ u32: … }, { f32: … }], [] for none");
    list("buffers in a dispatch", buffers, "tensors for the bindings from 1 on");
    list("workgroups in a dispatch", workgroups, "their numbers along x, y and z");
  }
}

function bindAll(
  buffers: Dispatch["buffers"],
  { named, kernel }: {
    readonly named: readonly NamedRegion[];
    readonly kernel: PreparedKernel;
  },
): NamedBinding[] {
  return buffers.map((bound, i) => {
    const declared = kernel.bindings?.find(({ binding }) => binding === i + 1);
    const place = `binding ${i + 1}${declared ? ` (${declared.name})` : ""}`;
    // If the kernel's text does not tell whether the binding is written, assume that it is: then
    // the checks are stricter.
    const written = declared?.written ?? true;
    if (bound instanceof MatrixImage) {
      return { bound, name: place, region: undefined, resource: bound.view, written };
    }
    const region = regionOf(bound);
    const argument = named.find((other) =>
      other.region.buffer === region.buffer && commonBytes(other.region, region) > 0
    );
    const whole = bound instanceof Tensor ? bound.isWhole : !("buffer" in bound);
    return {
      bound,
      name: argument?.name ?? place,
      region,
      resource: whole ? { buffer: region.buffer } : region,
      written,
    };
  });
}

function checkWorkgroupCounts(
  gpu: BufferOwner,
  label: string,
  workgroups: readonly (number | undefined)[],
): void {
  const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
  workgroups.forEach((count, i) => {
    if (count === undefined || (Number.isInteger(count) && count >= 0 && count <= limit)) return;
    throw new RangeError(
      `${label}: ${count} workgroups in ${"xyz"[i]}, wanted an integer from 0 to ${limit}`,
    );
  });
}
