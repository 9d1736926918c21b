/**
 * Copies slices that WebGPU cannot bind directly: a slice that begins between two multiples of the
 * adapter's alignment, or one that a dispatch reads while it writes another part of the same
 * buffer. Each is copied to a separate buffer before the dispatch, and copied back if the dispatch
 * writes it.
 */
import copySource from "../../../kernels/arithmetic/copy.wgsl" with { type: "text" };
import type { BufferOwner, Scalar } from "../owner.ts";
import type { Kernel, PreparedKernel } from "../pipelines.ts";
import { spreadWorkgroups } from "../workgroups.ts";
import { commonBytes, type Region } from "./sharing.ts";

export interface BoundDispatch {
  readonly kernel: PreparedKernel;
  readonly parameters: readonly Scalar[];
  readonly resources: readonly GPUBindingResource[];
  readonly workgroups: readonly [number, number?, number?];
}

export interface Binding {
  /** What to bind, unless a copy of the region must be bound instead. */
  readonly resource: GPUBindingResource;
  /** The bytes to bind. Undefined for an image, which is never copied or compared. */
  readonly region: Region | undefined;
  readonly written: boolean;
}

interface Copy {
  readonly region: Region;
  readonly buffer: GPUBuffer;
  /** Whether the copy equals the region after the dispatches that were added so far. */
  fresh: boolean;
}

const copyKernel: Kernel = { parts: [{ file: "arithmetic/copy.wgsl", source: copySource }] };

/** Surrounds a plan's dispatches, in their order, with the copies of slices that they need. */
export class Staging {
  readonly #gpu: BufferOwner;
  readonly #buffers: unknown[];
  readonly #alignment: number;
  readonly #copies: Copy[] = [];

  /**
   * @param gpu the GPU to plan for
   * @param buffers the list of the plan's own buffers; the copies' buffers are added to it
   */
  constructor(gpu: BufferOwner, buffers: unknown[]) {
    this.#gpu = gpu;
    this.#buffers = buffers;
    this.#alignment = gpu.device.limits.minStorageBufferOffsetAlignment;
  }

  /**
   * Adds a dispatch with the copies that it needs.
   *
   * @param dispatch the dispatch without its storage buffers
   * @param bindings the dispatch's storage bindings, from 1 on
   * @returns the copies before the dispatch, the dispatch, and the copies after it
   */
  surround(
    dispatch: Omit<BoundDispatch, "resources">,
    bindings: readonly Binding[],
  ): BoundDispatch[] {
    const before: BoundDispatch[] = [];
    const after: BoundDispatch[] = [];
    const writtenCopies = new Set<Copy>();
    const resources = bindings.map((binding) => {
      const { region } = binding;
      if (region === undefined || !this.#needsCopy({ ...binding, region }, bindings)) {
        return binding.resource;
      }
      const copy = this.#copyOf(region);
      if (!copy.fresh) before.push(this.#move(copy, "in"));
      copy.fresh = true;
      if (binding.written) {
        after.push(this.#move(copy, "out"));
        writtenCopies.add(copy);
      }
      return { buffer: copy.buffer };
    });
    // A dispatch that writes memory makes all copies of that memory stale, except a copy that the
    // dispatch itself wrote.
    for (const { region } of bindings.filter(({ written }) => written)) {
      for (const copy of this.#copies) {
        if (region === undefined || writtenCopies.has(copy)) continue;
        if (commonBytes(copy.region, region) > 0) copy.fresh = false;
      }
    }
    return [...before, { ...dispatch, resources }, ...after];
  }

  #needsCopy(
    { region, written }: { readonly region: Region; readonly written: boolean },
    bindings: readonly Binding[],
  ): boolean {
    if (region.offset % this.#alignment !== 0) return true;
    return !written &&
      bindings.some((other) =>
        other.written && other.region?.buffer === region.buffer &&
        other.region.offset % this.#alignment === 0
      );
  }

  #copyOf(region: Region): Copy {
    const known = this.#copies.find((copy) => isSame(copy.region, region));
    if (known !== undefined) return known;
    const buffer = this.#gpu.storage(region.size);
    this.#buffers.push(buffer);
    const copy = { region, buffer, fresh: false };
    this.#copies.push(copy);
    return copy;
  }

  #move({ region, buffer }: Copy, direction: "in" | "out"): BoundDispatch {
    const excess = region.offset % this.#alignment;
    const elements = region.size / 4;
    const place = {
      buffer: region.buffer,
      offset: region.offset - excess,
      size: region.size + excess,
    };
    const [source, copied] = direction === "in" ? [place, { buffer }] : [{ buffer }, place];
    return {
      kernel: this.#gpu.pipelines.prepare(copyKernel),
      parameters: [
        { u32: elements },
        { u32: direction === "in" ? excess / 4 : 0 },
        { u32: direction === "in" ? 0 : excess / 4 },
      ],
      resources: [source, copied],
      workgroups: spreadWorkgroups(this.#gpu, Math.ceil(elements / 64)),
    };
  }
}

function isSame(a: Region, b: Region): boolean {
  return a.buffer === b.buffer && a.offset === b.offset && a.size === b.size;
}
